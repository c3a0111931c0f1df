import type {
  FrameworkRecord,
  RecordPaths,
  WorkerRecord,
  WorkerSize,
  WorkerState,
} from '#proto/records.ts';
import type { ClusterSettings } from '#proto/spec.ts';
import type { Moment } from '#runtime/function.ts';
import { createOf, replaceOf, type Versioned } from '#runtime/store/ops.ts';
import type { StoreOp } from '#runtime/store/store.ts';
import type { Effect, TaskName } from './effect.ts';

/** What a change of a worker leaves open: every other field stays as it was. */
export type Patch = {
  readonly [K in Changeable]?: WorkerRecord[K] | undefined;
} & { readonly state?: WorkerState; readonly why: string };

type Changeable =
  | 'agentId'
  | 'hostname'
  | 'ports'
  | 'launch'
  | 'status'
  | 'unacknowledged'
  | 'doubts'
  | 'told'
  | 'kills'
  | 'due';

/** Fields that always have a value. */
type Certain = { readonly spoke?: number; readonly confirmed?: boolean };

/** How long an ended worker's record stays at least, so that its end is counted before it is forgotten. */
const forgetAfterMs = 2000;

/** The pause between KILLs doubles up to this: an agent that comes back is rid of the task within it. */
const killPauseMaxMs = 60_000;

/** Index nodes are created and removed, never set. */
const indexVersion = 0;

/** The worker after `patch`; entering a state sets its time. */
export function patched(
  worker: WorkerRecord,
  patch: Patch & Certain,
  moment: Moment,
): WorkerRecord {
  const state = patch.state ?? worker.state;
  const times = state === worker.state ? worker.times : { ...worker.times, [state]: moment.now };
  return { ...worker, ...patch, op: moment.op, state, times } as WorkerRecord;
}

/** The worker after its end; `patch` may say more than why. */
export function ended(worker: WorkerRecord, patch: Patch, moment: Moment): WorkerRecord {
  return patched(worker, { ...patch, state: 'ended', due: moment.now + forgetAfterMs }, moment);
}

/** The worker whose ACCEPT was certainly not sent: it was never launched and waits again. */
export function takenBack(worker: WorkerRecord, why: string, moment: Moment): WorkerRecord {
  const { agentId: _agent, hostname: _host, ports: _ports, launch: _launch, ...rest } = worker;
  return patched(rest, { state: 'wanted', due: undefined, why: `waits again: ${why}` }, moment);
}

/** What letting a worker go depends on. */
export interface LettingGo {
  readonly framework: Pick<FrameworkRecord, 'state' | 'held'>;
  readonly settings: Pick<ClusterSettings, 'failures'>;
  readonly moment: Moment;
}

/** A worker that was let go, and the tasks to be killed for it now: its own or none. */
export interface LetGo {
  readonly next: WorkerRecord;
  readonly kills: readonly TaskName[];
}

/** Nothing is killed while held, and a cluster that ends is torn down whole. */
export function mayKill({ state, held }: LettingGo['framework']): boolean {
  return state === 'active' && held === undefined;
}

/** Lets a worker go: one that was never launched ends at once, any other is killed. */
export function stopped(worker: WorkerRecord, why: string, ground: LettingGo): LetGo {
  if (worker.state !== 'wanted') return killed(worker, why, ground);
  return { next: ended(worker, { why }, ground.moment), kills: [] };
}

/** Kills a worker's task, for the first time or again: KILL is repeated until the task has ended. */
export function killed(worker: WorkerRecord, why: string, ground: LettingGo): LetGo {
  const { framework, settings, moment } = ground;
  const now = mayKill(framework);
  const kills = (worker.kills ?? 0) + (now ? 1 : 0);
  const due = moment.now + killPauseMs(kills, settings.failures.killRepeatMs);
  const next = patched(worker, { state: 'stopping', kills, due, why }, moment);
  return { next, kills: now ? [taskOf(next)] : [] };
}

function killPauseMs(kills: number, firstMs: number): number {
  const doubled = firstMs * 2 ** Math.max(0, kills - 1);
  return Math.max(firstMs, Math.min(killPauseMaxMs, doubled));
}

/** KILL of these tasks; nothing where there are none. */
export function killEffects(
  { id, epoch }: Pick<FrameworkRecord, 'id' | 'epoch'>,
  tasks: readonly TaskName[],
): Effect[] {
  return tasks.length === 0 ? [] : [{ kind: 'kill', framework: { id, epoch }, tasks }];
}

/** A worker's task as calls name it. */
export function taskOf({ id, agentId }: WorkerRecord): TaskName {
  return { taskId: id, agentId };
}

/** The writes that bring a worker and its indexes from what was read to `next`: one transaction. */
export function workerWrites(
  read: Versioned<WorkerRecord>,
  next: WorkerRecord,
  paths: RecordPaths,
): StoreOp[] {
  return [replaceOf(read, next), ...indexWrites(read.value, next, paths)];
}

/** The writes that make a new worker. */
export function newWorkerWrites(worker: WorkerRecord, paths: RecordPaths): StoreOp[] {
  return [createOf(paths.worker(worker.id), worker), ...indexWrites(undefined, worker, paths)];
}

/** The writes that forget a worker. */
export function forgetWrites(read: Versioned<WorkerRecord>, paths: RecordPaths): StoreOp[] {
  return [
    { kind: 'remove', path: read.path, version: read.version },
    ...indexWrites(read.value, undefined, paths),
  ];
}

/** The hint that tells of a worker's new state. */
export function workerChanged(worker: WorkerRecord): Effect {
  const { id, state, op } = worker;
  return { kind: 'changed', record: 'worker', id, state, op };
}

/** Whether the worker still counts: it is wanted, on its way, or running. */
export function counts(state: WorkerState): boolean {
  return state !== 'stopping' && state !== 'ended';
}

/** `taskmanager-00007`: five digits at least, as the old integration named its tasks. */
function workerId(number: number): string {
  return `taskmanager-${String(number).padStart(5, '0')}`;
}

/** The number in a worker's id, or undefined for a task that drey never named. */
export function workerNumber(taskId: string): number | undefined {
  const digits = /^(?:taskmanager|jobmanager)-(\d{5,})$/.exec(taskId)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** What a new worker is made from. */
export interface NewWorker {
  readonly number: number;
  readonly size: WorkerSize;
  readonly flink?: WorkerRecord['flink'];
  readonly request?: string;
  readonly generation: number;
  readonly epoch: number;
  readonly why: string;
}

/** A worker in `wanted`. */
export function newWorker(from: NewWorker, moment: Moment): WorkerRecord {
  return {
    v: 1,
    op: moment.op,
    id: workerId(from.number),
    kind: 'taskmanager',
    state: 'wanted',
    generation: from.generation,
    size: from.size,
    ...(from.flink === undefined ? {} : { flink: from.flink }),
    ...(from.request === undefined ? {} : { request: from.request }),
    spoke: from.epoch,
    confirmed: from.request === undefined,
    times: { wanted: moment.now },
    why: from.why,
  };
}

function indexWrites(
  before: WorkerRecord | undefined,
  after: WorkerRecord | undefined,
  paths: RecordPaths,
): StoreOp[] {
  const old = before === undefined ? [] : indexPaths(before, paths);
  const next = after === undefined ? [] : indexPaths(after, paths);
  return [
    ...old
      .filter((path) => !next.includes(path))
      .map((path): StoreOp => ({ kind: 'remove', path, version: indexVersion })),
    ...next
      .filter((path) => !old.includes(path))
      .map((path): StoreOp => ({ kind: 'create', path, data: '' })),
  ];
}

function indexPaths(worker: WorkerRecord, paths: RecordPaths): string[] {
  return [
    ...(worker.state === 'wanted' ? [paths.waits(worker.id)] : []),
    ...(worker.due === undefined ? [] : [paths.dueAt(worker.due, worker.id)]),
    ...(counts(worker.state) ? [] : [paths.leaves(worker.id)]),
  ];
}
