import { createHash } from 'node:crypto';
import { accessSync, chmodSync, constants, existsSync, mkdirSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { ConfigurationError } from '#runtime/errors.ts';
import type { Plan } from './plan.ts';

/** Makes the directories of this appmaster, readable by its user only. @throws ConfigurationError */
export function makeFolders(plan: Plan): void {
  makeFolder('drey.state.dir', plan.stateDir, 0o700);
  for (const name of ['conf', 'tmp', 'upload']) {
    makeFolder('drey.state.dir', join(plan.stateDir, name), 0o700);
  }
  makeFolder('FLINK_LOG_DIR', plan.logDir, undefined);
}

/**
 * Holds the state directory for this process alone: two appmasters would write into the same data.
 * The lock is a socket of the kernel, so that it goes with the process. @throws ConfigurationError
 */
export function lockFolder(stateDir: string): Promise<Server> {
  const name = createHash('sha256').update(stateDir).digest('hex').slice(0, 32);
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.unref();
    server.once('error', (error) => {
      const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      const why = taken
        ? `another appmaster uses ${stateDir}; stop it or give this one its own directory`
        : `${stateDir} cannot be locked: ${error.message}`;
      reject(new ConfigurationError('drey.state.dir', why, { cause: error }));
    });
    server.listen(`\0drey-appmaster-${name}`, () => resolve(server));
  });
}

function makeFolder(key: string, folder: string, mode: number | undefined): void {
  try {
    makeWithParents(folder);
    if (mode !== undefined) chmodSync(folder, mode);
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigurationError(key, `cannot write to ${folder}: ${why}; name another directory`, {
      cause: error,
    });
  }
}

/** As mkdir -p. Node's own recursive form never ends where a parent exists and takes no children (/proc). */
function makeWithParents(folder: string): void {
  const missing: string[] = [];
  for (let path = folder; !existsSync(path); path = dirname(path)) missing.unshift(path);
  for (const path of missing) mkdirSync(path);
}
