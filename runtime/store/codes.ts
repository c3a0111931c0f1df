import { Exception } from 'node-zookeeper-client';

/** An error of ZooKeeper, as the npm package makes it. */
export interface ZooKeeperError extends Error {
  readonly code: number;
}

/** Codes of ZooKeeper 3.9 (KeeperException.Code) that the npm package does not list. */
const unlisted = {
  SESSION_MOVED: -118,
  NOT_READ_ONLY: -119,
  REQUEST_TIMEOUT: -122,
  QUOTA_EXCEEDED: -125,
  THROTTLED: -127,
} as const;

const exceptions = Exception as unknown as {
  create(code: number, path?: string): ZooKeeperError;
} & Record<string, unknown>;

const listed = Object.entries(exceptions).filter(
  (entry): entry is [string, number] => typeof entry[1] === 'number',
);
const names = new Map([...listed, ...Object.entries(unlisted)].map(([name, code]) => [code, name]));
const listedCodes = new Set(listed.map(([, code]) => code));
const createListed = exceptions.create;
// The package throws inside its socket listener, which ends the process, when a server answers with
// a code that it does not list (a quota is exceeded, a call throttled, a session moved).
exceptions.create = (code, path) =>
  listedCodes.has(code)
    ? createListed(code, path)
    : Object.assign(new Error(`ZooKeeper error ${code}`), { code, path, getCode: () => code });

/** Makes the package's own error for a code. */
export function zooKeeperError(code: number): ZooKeeperError {
  return exceptions.create(code);
}

/** The name of a code in messages. */
export function nameOf(code: number): string {
  return names.get(code) ?? `error ${code}`;
}

/** The code of a ZooKeeper error; undefined for an error of another kind. */
export function codeOf(error: unknown): number | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'number' ? code : undefined;
}

/** The server answered so while nothing was applied, and a later call may pass. */
export const passing: ReadonlySet<number> = new Set([
  unlisted.SESSION_MOVED,
  unlisted.NOT_READ_ONLY,
  unlisted.THROTTLED,
]);

/** Nobody can say whether a write with this answer was applied. */
export const doubtful: ReadonlySet<number> = new Set([
  Exception.CONNECTION_LOSS,
  Exception.OPERATION_TIMEOUT,
  Exception.SESSION_EXPIRED,
  Exception.SYSTEM_ERROR,
  Exception.RUNTIME_INCONSISTENCY,
  Exception.DATA_INCONSISTENCY,
  unlisted.REQUEST_TIMEOUT,
]);

/** What was expected of a node does not hold. */
export const lostRaces: ReadonlySet<number> = new Set([
  Exception.NO_NODE,
  Exception.NODE_EXISTS,
  Exception.BAD_VERSION,
  Exception.NOT_EMPTY,
]);
