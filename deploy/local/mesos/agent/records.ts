import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TaskRecord, TaskReference } from '../core/agent-state.ts';
import { parse, serialize } from '../link.ts';
import type { WorkDirectory } from './paths.ts';

/** What the agent found of its earlier life. */
export interface Remembered {
  readonly agentId: string | undefined;
  readonly tasks: readonly TaskRecord[];
}

/** Reads what was saved; a file that a crash left half-written has another name. */
export function remembered(directory: WorkDirectory): Remembered {
  const files = readdirSync(directory.tasks).filter((name) => name.endsWith('.json'));
  const tasks = files.map((name) => parse(readFileSync(join(directory.tasks, name))) as TaskRecord);
  return { agentId: identity(directory), tasks };
}

function identity(directory: WorkDirectory): string | undefined {
  try {
    return (parse(readFileSync(directory.identity)) as { readonly agentId: string }).agentId;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export function saveIdentity(directory: WorkDirectory, agentId: string): void {
  replace(directory.identity, serialize({ agentId }));
}

/** Keeps a task's record, or forgets it with all that its executor noted. */
export function saveTask(
  directory: WorkDirectory,
  reference: TaskReference,
  record: TaskRecord | undefined,
): void {
  const path = join(directory.tasks, `${reference.containerId}.json`);
  if (record !== undefined) {
    replace(path, serialize(record));
    return;
  }
  rmSync(path, { force: true });
  rmSync(directory.container(reference.containerId), { recursive: true, force: true });
}

/** Forgets everything: the next start is that of a new agent. */
export function forgetAll(directory: WorkDirectory): void {
  rmSync(directory.identity, { force: true });
  rmSync(directory.tasks, { recursive: true, force: true });
  mkdirSync(directory.tasks, { recursive: true });
}

function replace(path: string, bytes: Uint8Array): void {
  writeFileSync(`${path}.new`, bytes);
  renameSync(`${path}.new`, path);
}
