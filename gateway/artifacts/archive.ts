import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Header, pack } from 'tar-stream';
import { z } from 'zod';
import { fingerprintOf, type ShippedFile } from './tree.ts';

/** A file that the artifact server may hand out. */
export interface Artifact {
  /** Last part of its URL; the fetcher unpacks by its ending. */
  readonly name: string;
  readonly path: string;
  readonly sha256: string;
  readonly size: number;
}

/** What an archive in the state directory was made of. */
const note = z.object({ fingerprint: z.string(), sha256: z.string(), size: z.number() });

/**
 * Packs the files into one uncompressed tar under the hash of its content: the same files give the
 * same bytes. An archive of files that have not changed since (by name, size, time, mode) is reused.
 */
export async function archiveOf(
  files: readonly ShippedFile[],
  name: string,
  directory: string,
): Promise<Artifact> {
  await mkdir(directory, { recursive: true });
  const fingerprint = fingerprintOf(files);
  const noteFile = join(directory, `${name}.json`);
  const known = await readNote(noteFile);
  if (known?.fingerprint === fingerprint) {
    const path = join(directory, `${known.sha256}-${name}`);
    const size = await sizeOf(path);
    if (size === known.size) return { name, path, sha256: known.sha256, size };
  }
  const { sha256, size } = await write(files, join(directory, `${name}.${process.pid}.part`));
  const path = join(directory, `${sha256}-${name}`);
  await rename(join(directory, `${name}.${process.pid}.part`), path);
  await writeFile(noteFile, JSON.stringify({ fingerprint, sha256, size }));
  if (known !== undefined && known.sha256 !== sha256) {
    await rm(join(directory, `${known.sha256}-${name}`), { force: true });
  }
  return { name, path, sha256, size };
}

async function write(
  files: readonly ShippedFile[],
  path: string,
): Promise<{ readonly sha256: string; readonly size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      size += chunk.length;
      done(null, chunk);
    },
  });
  const tar = pack();
  const written = pipeline(tar, measure, createWriteStream(path));
  const fed = feed(tar, files).catch((error: Error) => {
    tar.destroy(error);
    throw error;
  });
  try {
    await Promise.all([written, fed]);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
  return { sha256: hash.digest('hex'), size };
}

async function feed(tar: ReturnType<typeof pack>, files: readonly ShippedFile[]): Promise<void> {
  for (const file of files) {
    await pipeline(createReadStream(file.path), tar.entry(headersOf(file)));
  }
  tar.finalize();
}

/** Nothing of this machine gets in: no times, no owners. */
function headersOf(file: ShippedFile): Partial<Header> & Pick<Header, 'name'> {
  return {
    name: file.name,
    size: file.size,
    mode: file.mode,
    mtime: new Date(0),
    uid: 0,
    gid: 0,
    type: 'file',
  };
}

async function readNote(path: string): Promise<z.infer<typeof note> | undefined> {
  try {
    return note.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined; // none yet, or not ours: the archive is made anew
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch {
    return undefined; // somebody has cleaned up
  }
}
