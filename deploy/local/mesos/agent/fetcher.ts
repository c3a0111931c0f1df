import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants, createWriteStream } from 'node:fs';
import { chmod, copyFile, link, mkdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, normalize, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { request } from 'undici';
import type { CommandInfoURI } from '#proto/mesos/types.ts';

const run = promisify(execFile);
const atOnce = 4;
const mostRedirects = 10;
const stallTimeoutMs = 60_000;
/** Smaller files are copied: then a task may write to its own copy. */
const linkFromBytes = 1024 * 1024;

/** What a fetch works with. */
export interface FetchPlace {
  readonly sandbox: string;
  readonly signal: AbortSignal;
  /** A line for the sandbox' stderr. */
  readonly log: (line: string) => void;
}

/** Brings URIs into sandboxes; what is marked `cache` is downloaded once per URL. */
export class Fetcher {
  readonly #cache: string;
  readonly #downloads = new Map<string, Promise<string>>();

  constructor(cache: string) {
    this.#cache = cache;
  }

  /** Fetches all, some at once. @throws Error naming the URI that failed. */
  async fetchAll(uris: readonly CommandInfoURI[], place: FetchPlace): Promise<void> {
    const waiting = [...uris];
    const worker = async (): Promise<void> => {
      for (let uri = waiting.shift(); uri !== undefined; uri = waiting.shift()) {
        await this.#fetch(uri, place);
      }
    };
    await Promise.all(Array.from({ length: Math.min(atOnce, uris.length) }, worker));
  }

  async #fetch(uri: CommandInfoURI, place: FetchPlace): Promise<void> {
    place.log(`Fetching URI '${uri.value}'`);
    try {
      place.signal.throwIfAborted();
      const target = targetOf(uri, place.sandbox);
      await mkdir(dirname(target), { recursive: true });
      await this.#bring(uri, target, place);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`Failed to fetch '${uri.value}': ${reason}`, { cause });
    }
    place.log(`Fetched '${uri.value}'`);
  }

  async #bring(uri: CommandInfoURI, target: string, place: FetchPlace): Promise<void> {
    const executable = uri.executable === true;
    const unpack = !executable && uri.extract !== false && isArchive(target);
    const local = localPath(uri.value);
    const source = local ?? (uri.cache === true ? await this.#cached(uri.value, place) : undefined);
    if (source === undefined) await download(uri.value, target, place.signal);
    else if (unpack) return extract(source, target, place);
    else await putFile(source, target, local === undefined && !executable);
    if (executable) await chmod(target, 0o755);
    if (unpack) await extract(target, target, place);
  }

  /** The file in the cache; whoever comes first downloads it, the others wait. */
  #cached(url: string, place: FetchPlace): Promise<string> {
    const name = `${createHash('sha256').update(url).digest('hex').slice(0, 24)}-${nameOf(url)}`;
    const file = join(this.#cache, name.slice(-200));
    const known = this.#downloads.get(file);
    if (known !== undefined) return known;
    const downloading = fillCache(url, file, place);
    this.#downloads.set(file, downloading);
    // A failure is told to those who wait for it; the next task tries again.
    downloading.catch(() => this.#downloads.delete(file));
    return downloading;
  }
}

async function fillCache(url: string, file: string, place: FetchPlace): Promise<string> {
  try {
    await stat(file);
  } catch {
    place.log(`Downloading '${url}' into the cache`);
    // Not with the task's own signal: other tasks may wait for the same file.
    await download(url, `${file}.part`, new AbortController().signal);
    await rename(`${file}.part`, file);
  }
  return file;
}

function targetOf(uri: CommandInfoURI, sandbox: string): string {
  const name = uri.output_file ?? nameOf(uri.value);
  const target = normalize(join(sandbox, name));
  const inside = relative(sandbox, target);
  if (name === '' || inside === '' || inside.startsWith('..')) {
    throw new Error(`'${name}' is no file of the sandbox`);
  }
  return target;
}

function nameOf(uri: string): string {
  return basename(uri);
}

/** The path of a URI that names a file of this machine. */
function localPath(uri: string): string | undefined {
  if (uri.startsWith('/')) return uri;
  if (uri.startsWith('file://')) return fileURLToPath(uri);
  if (/^https?:\/\//.test(uri)) return undefined;
  throw new Error('only http, https, file and absolute paths are covered by the local Mesos');
}

async function download(url: string, target: string, signal: AbortSignal): Promise<void> {
  let at = url;
  for (let hop = 0; hop <= mostRedirects; hop += 1) {
    const response = await request(at, { signal, bodyTimeout: stallTimeoutMs });
    const { location } = response.headers;
    if (response.statusCode >= 300 && response.statusCode < 400 && typeof location === 'string') {
      await response.body.dump();
      at = new URL(location, at).href;
      continue;
    }
    if (response.statusCode !== 200) {
      await response.body.dump();
      throw new Error(
        `Error downloading resource, received HTTP return code ${response.statusCode}`,
      );
    }
    await pipeline(response.body, createWriteStream(target), { signal });
    return;
  }
  throw new Error(`more than ${mostRedirects} redirects`);
}

/** Large files of the cache are linked, others cloned where the file system can, or copied. */
async function putFile(source: string, target: string, mayLink: boolean): Promise<void> {
  await rm(target, { force: true });
  if (mayLink && (await stat(source)).size >= linkFromBytes) {
    try {
      await link(source, target);
      return;
    } catch (error) {
      // The cache is on another file system than the sandbox.
      if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    }
  }
  await copyFile(source, target, constants.COPYFILE_FICLONE);
}

const tarball = /\.(tar|tar\.gz|tgz|tar\.bz2|tbz2|tar\.xz|txz)$/;

function isArchive(name: string): boolean {
  return tarball.test(name) || name.endsWith('.zip') || name.endsWith('.gz');
}

/** Unpacks beside `target`, after whose name the kind of archive is told. */
async function extract(source: string, target: string, place: FetchPlace): Promise<void> {
  place.log(`Extracting '${basename(target)}'`);
  const { signal } = place;
  if (tarball.test(target)) {
    await run('tar', ['-C', place.sandbox, '-xf', source], { signal });
  } else if (target.endsWith('.zip')) {
    await run('unzip', ['-o', '-q', '-d', place.sandbox, source], { signal });
  } else {
    const plain = target.slice(0, -'.gz'.length);
    await run('/bin/sh', ['-c', 'gzip -dc "$0" > "$1"', source, plain], { signal });
  }
}
