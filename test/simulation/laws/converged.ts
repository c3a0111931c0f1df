import type { RecordPaths, WorkerRecord } from '#proto/records.ts';
import type { Flink } from '../world/flink.ts';
import { type AgentTask, lives } from '../world/mesos/task.ts';
import type { Watched } from './laws.ts';

/** What is asked of the cluster in the end. */
export interface Asked {
  readonly paths: RecordPaths;
  /** Undefined: a fixed number of workers is asked for. */
  readonly flink: Flink | undefined;
  readonly target: () => number;
  /** The cluster was told to end. */
  readonly ends: () => boolean;
}

/** What still differs from what is asked, as one sentence; undefined where nothing does. */
export function difference(watched: Watched, asked: Asked): string | undefined {
  const tasks = watched.mesos.agents.flatMap((agent) => [...agent.tasks.values()]);
  if (asked.ends()) return notEnded(watched, asked, tasks);
  return (
    notActive(watched) ??
    wrongTasks(watched, asked, tasks) ??
    wrongRecords(watched, asked) ??
    unacknowledged(tasks) ??
    wrongDriver(asked, tasks) ??
    wrongLevel(watched)
  );
}

function idOf(task: AgentTask): string {
  return task.info.task_id.value;
}

function notActive({ records }: Watched): string | undefined {
  const { framework } = records;
  if (framework === undefined) return 'no framework is recorded';
  if (framework.held !== undefined) return `held: ${framework.held.why}`;
  return framework.state === 'active' ? undefined : `the framework is ${framework.state}`;
}

function wrongTasks(
  { records }: Watched,
  asked: Asked,
  tasks: readonly AgentTask[],
): string | undefined {
  const live = tasks.filter(lives);
  const stranger = live.find((task) => !records.workers.has(idOf(task)));
  if (stranger !== undefined) return `${idOf(stranger)} runs without a record`;
  const idle = live.find((task) => records.workers.get(idOf(task))?.state !== 'running');
  if (idle !== undefined) {
    return `${idOf(idle)} is ${idle.state}, its record ${records.workers.get(idOf(idle))?.state}`;
  }
  const target = asked.target();
  return live.length === target ? undefined : `${live.length} tasks live, ${target} are asked for`;
}

function wrongRecords({ records }: Watched, { paths }: Asked): string | undefined {
  const workers = [...records.workers.values()];
  // A task on an agent that never comes back can be given up, not ended: its KILL is repeated.
  const given = new Set(workers.filter(isUnreachable).map(({ id }) => id));
  const left = workers.find(({ id, state }) => state !== 'running' && !given.has(id));
  if (left !== undefined) return `${left.id} is ${left.state}: ${left.why}`;
  const index = [paths.waiting, paths.leaving, paths.due].flatMap((folder) =>
    records.names(folder).map((name) => ({ folder, name })),
  );
  const stray = index.find(({ name }) => !given.has(name.replace(/^\d{13}-/, '')));
  return stray === undefined ? undefined : `${stray.folder}/${stray.name} is left`;
}

function isUnreachable({ state, status }: WorkerRecord): boolean {
  return state === 'stopping' && status?.state === 'TASK_UNREACHABLE';
}

function unacknowledged(tasks: readonly AgentTask[]): string | undefined {
  const task = tasks.find((one) => one.pending.length > 0);
  return task === undefined ? undefined : `${idOf(task)} ${task.pending[0]?.state} unacknowledged`;
}

/** Every end has reached the driver, and every worker that runs is known to it. */
function wrongDriver({ flink }: Asked, tasks: readonly AgentTask[]): string | undefined {
  if (flink === undefined) return undefined;
  const manager = flink.leader;
  if (manager?.life.alive !== true) return 'no JobManager lives';
  const live = new Set(tasks.filter(lives).map(idOf));
  const dead = [...manager.workers.keys()].find((id) => !live.has(id));
  if (dead !== undefined) return `the driver was not told that ${dead} has ended`;
  const unknown = [...live].find((id) => manager.workers.get(id)?.registered !== true);
  return unknown === undefined ? undefined : `${unknown} runs and is not registered at Flink`;
}

function wrongLevel({ mesos }: Watched): string | undefined {
  const master = mesos.master;
  if (master === undefined) return 'no master leads';
  const connected = [...master.frameworks.values()].filter((one) => one.stream !== undefined);
  if (connected.length !== 1) return `${connected.length} frameworks are connected`;
  if (connected[0]?.suppressed.size === 0) return 'offers are not suppressed though nothing waits';
  return undefined;
}

function notEnded(
  { mesos, records }: Watched,
  { paths }: Asked,
  tasks: readonly AgentTask[],
): string | undefined {
  if (records.framework?.state !== 'ended') return `the framework is ${records.framework?.state}`;
  const live = tasks.find(lives);
  if (live !== undefined) return `${idOf(live)} still runs`;
  if ((mesos.master?.frameworks.size ?? 0) > 0) return 'Mesos still knows the framework';
  for (const folder of [paths.workers, paths.waiting, paths.due, paths.leaving, paths.requests]) {
    const name = records.names(folder)[0];
    if (name !== undefined) return `${folder}/${name} is left`;
  }
  return undefined;
}
