import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TaskRecord } from '../core/agent-state.ts';

/** Where an agent keeps what, below its work directory. */
export interface WorkDirectory {
  readonly root: string;
  /** The agent's own id. */
  readonly identity: string;
  /** One file per task that is not over. */
  readonly tasks: string;
  /** Files that are fetched once for many tasks. */
  readonly cache: string;
  /** What a task's executor notes. */
  container(containerId: string): string;
}

export function workDirectory(root: string): WorkDirectory {
  const directory: WorkDirectory = {
    root,
    identity: join(root, 'meta', 'agent.json'),
    tasks: join(root, 'meta', 'tasks'),
    cache: join(root, 'fetch'),
    container: (containerId) => join(root, 'meta', 'containers', containerId),
  };
  mkdirSync(directory.tasks, { recursive: true });
  // A real agent begins with an empty cache too: what a URL gives may have changed since.
  rmSync(directory.cache, { recursive: true, force: true });
  mkdirSync(directory.cache, { recursive: true });
  return directory;
}

/** A task's sandbox, laid out as a real agent does. */
export function sandboxOf(root: string, agentId: string, record: TaskRecord): string {
  const frameworkId = record.framework.id?.value ?? '';
  const taskId = record.task.task_id.value;
  const executors = join(root, 'slaves', agentId, 'frameworks', frameworkId, 'executors');
  return join(executors, taskId, 'runs', record.containerId);
}

/** Makes the sandbox, and `runs/latest` point to it. */
export function makeSandbox(sandbox: string): void {
  mkdirSync(sandbox, { recursive: true });
  const latest = join(dirname(sandbox), 'latest');
  rmSync(latest, { force: true });
  symlinkSync(sandbox, latest);
}
