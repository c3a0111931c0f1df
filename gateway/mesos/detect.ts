import { readFileSync } from 'node:fs';
import { ConfigurationError } from '#runtime/errors.ts';
import { withoutPasswords } from '#runtime/secrets.ts';
import type { Store } from '#runtime/store/store.ts';

const key = 'mesos.master';
const defaultPort = 5050;

/** What `mesos.master` says: addresses of masters, or a place in ZooKeeper where they stand. */
export type MasterPlace =
  | { readonly kind: 'addresses'; readonly origins: readonly string[] }
  | {
      readonly kind: 'zookeeper';
      readonly servers: string;
      readonly path: string;
      readonly auth?: string;
    };

/** Finds the masters worth trying now, the likeliest first. */
export interface MasterFinder {
  /** Origins such as `http://host:5050`. @throws ConfigurationError, StoreUnavailableError */
  find(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** What the finder reads of ZooKeeper. */
export type MasterRegistry = Pick<Store, 'list' | 'read' | 'close'>;

/**
 * Reads `host:port`, `http(s)://host:port`, several of these by commas,
 * `zk://[user:password@]h1:p1,h2:p2/path`, or `file:///path` of a file that holds one of them.
 * @throws ConfigurationError
 */
export function parseMaster(text: string): MasterPlace {
  const value = text.trim();
  if (value.startsWith('zk://')) return parseZookeeper(value);
  if (value.startsWith('file://')) return parseFile(value);
  const origins = value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parseOrigin);
  if (origins.length === 0) throw new ConfigurationError(key, `is empty; ${forms}`);
  return { kind: 'addresses', origins };
}

const forms = 'allowed are host:port, http(s)://host:port, zk://host:port/path and file:///path';

function parseOrigin(text: string): string {
  const url = URL.parse(/^https?:\/\//.test(text) ? text : `http://${text}`);
  const beyond = url === null || url.pathname !== '/' || url.search !== '' || url.username !== '';
  if (beyond || url.hostname === '' || /^[a-z]+:\/\//.test(text) !== /^https?:\/\//.test(text)) {
    throw new ConfigurationError(key, `"${withoutPasswords(text)}" names no master; ${forms}`);
  }
  const hasPort = /:\d+$/.test(text.replace(/\/+$/, ''));
  return url.port === '' && !hasPort ? `${url.origin}:${defaultPort}` : url.origin;
}

function parseZookeeper(value: string): MasterPlace {
  const parts = /^zk:\/\/(?:(?<auth>[^@/]+)@)?(?<servers>[^@/]+)(?<path>\/[^\s]+)$/.exec(value);
  const { auth, servers, path } = parts?.groups ?? {};
  if (servers === undefined || path === undefined) {
    // The text may hold a password: it is not shown.
    throw new ConfigurationError(
      key,
      'is no zk:// address; write zk://[user:password@]host:port,host:port/path',
    );
  }
  const place = { kind: 'zookeeper', servers, path: path.replace(/\/+$/, '') } as const;
  return auth === undefined ? place : { ...place, auth };
}

function parseFile(value: string): MasterPlace {
  const path = value.slice('file://'.length);
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigurationError(key, `the file ${path} cannot be read: ${why}`, { cause });
  }
  if (text.startsWith('file://')) {
    throw new ConfigurationError(key, `the file ${path} names a file again; ${forms}`);
  }
  return parseMaster(text);
}

/** Finds masters as `mesos.master` says; ZooKeeper is connected to on first use. @throws ConfigurationError */
export function findMasters(
  master: string,
  connect: (servers: string, auth: string | undefined) => Promise<MasterRegistry>,
): MasterFinder {
  parseMaster(master);
  let registry: Promise<MasterRegistry> | undefined;
  return {
    find: async () => {
      // Read again each time: the file may have changed.
      const place = parseMaster(master);
      if (place.kind === 'addresses') return place.origins;
      registry ??= connect(place.servers, place.auth);
      try {
        return await leadersIn(await registry, place.path);
      } catch (error) {
        if (registry !== undefined) await closeQuietly(registry);
        registry = undefined;
        throw error;
      }
    },
    close: async () => {
      if (registry !== undefined) await closeQuietly(registry);
    },
  };
}

/** A registry that could not be opened need not be closed; its error was told by `find`. */
async function closeQuietly(registry: Promise<MasterRegistry>): Promise<void> {
  const [opened] = await Promise.allSettled([registry]);
  if (opened.status === 'fulfilled') await opened.value.close();
}

/** Masters announce themselves as `json.info_<10 digits>`; the lowest number leads. */
async function leadersIn(registry: MasterRegistry, path: string): Promise<readonly string[]> {
  const names = (await registry.list(path)).filter((name) => /^json\.info_\d{10}$/.test(name));
  for (const name of [...names].sort()) {
    const node = await registry.read(`${path}/${name}`);
    const origin = node === undefined ? undefined : originOf(node.data);
    if (origin !== undefined) return [origin];
  }
  return [];
}

/** The address in a MasterInfo as JSON; undefined when it holds none. */
export function originOf(masterInfo: string): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(masterInfo);
  } catch {
    return undefined; // not a master's node: the caller goes on to the next
  }
  const master = parsed as {
    readonly address?: {
      readonly ip?: string;
      readonly hostname?: string;
      readonly port?: number;
    };
    readonly ip?: number;
    readonly port?: number;
  } | null;
  const host = master?.address?.ip ?? master?.address?.hostname ?? dotted(master?.ip);
  const port = master?.address?.port ?? master?.port;
  if (host === undefined || port === undefined) return undefined;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** MasterInfo.ip is a number in network byte order, read on a little-endian machine. */
function dotted(ip: number | undefined): string | undefined {
  if (ip === undefined) return undefined;
  return [0, 8, 16, 24].map((shift) => (ip >>> shift) & 0xff).join('.');
}
