import type {
  AgentRecord,
  FrameworkRecord,
  LaunchesRecord,
  RecordPaths,
  WorkerRecord,
} from '#proto/records.ts';
import type { ClusterSettings, SpecRecord } from '#proto/spec.ts';
import type { Decision, Moment, Reason } from '#runtime/function.ts';
import type { Versioned } from '#runtime/store/ops.ts';
import type { StoreOp } from '#runtime/store/store.ts';
import type { Effect, TaskName } from '../shared/effect.ts';
import type { Heard } from '../shared/heard.ts';
import {
  forgetWrites,
  killEffects,
  killed,
  mayKill,
  patched,
  takenBack,
  taskOf,
  workerChanged,
  workerWrites,
} from '../shared/worker.ts';
import { failedLaunches, isFailure } from './rules/launches.ts';

export interface FailuresState {
  readonly paths: RecordPaths;
  readonly framework: Versioned<FrameworkRecord> | undefined;
  readonly spec: Versioned<SpecRecord> | undefined;
  readonly launches: Versioned<LaunchesRecord> | undefined;
  /** Records of the agents on which the loaded workers were. */
  readonly agents: ReadonlyMap<string, Versioned<AgentRecord>>;
  /** Workers whose deadline has passed, that are told to have ended, or whose offers may have lapsed. */
  readonly workers: readonly Versioned<WorkerRecord>[];
}

/** An ended worker whose end nobody has confirmed yet is looked at again after so long. */
const confirmAgainMs = 5000;
/** A status of an ended worker is not waited for longer: Mesos repeats it, and a task without a record is acknowledged. */
const acknowledgeMaxMs = 60_000;
/** A worker that Mesos should have spoken of is asked about again after so long. */
const askAgainMs = 30_000;

interface Draft {
  readonly writes: StoreOp[];
  readonly effects: Effect[];
  readonly reasons: Reason[];
  readonly kills: TaskName[];
  readonly asks: TaskName[];
  readonly failed: WorkerRecord[];
}

interface Ground {
  readonly state: FailuresState;
  readonly settings: ClusterSettings;
  readonly framework: FrameworkRecord;
  /** Offers that nobody used in time. */
  readonly lapsed: ReadonlySet<string>;
  readonly moment: Moment;
}

/** What follows when a deadline has passed, and what failed launches cost. */
export function decide(
  state: FailuresState,
  events: readonly Heard[],
  moment: Moment,
): Decision<Effect> {
  const { framework, spec } = state;
  if (framework === undefined || spec === undefined || framework.value.state !== 'active') {
    return { writes: [], effects: [], reasons: [] };
  }
  const draft: Draft = { writes: [], effects: [], reasons: [], kills: [], asks: [], failed: [] };
  const settings = spec.value.configured;
  const lapsed = new Set(
    events.flatMap((event) => (event.kind === 'lapsed' ? event.offerIds : [])),
  );
  const ground: Ground = { state, settings, framework: framework.value, lapsed, moment };
  for (const read of state.workers) look(ground, draft, read);
  const failed = failedLaunches(ground, draft.failed);
  draft.writes.push(...failed.writes);
  draft.reasons.push(...failed.reasons);
  const { id, epoch } = framework.value;
  const calls: Effect[] = [
    ...killEffects(framework.value, draft.kills),
    ...(draft.asks.length > 0
      ? [{ kind: 'reconcile', framework: { id, epoch }, tasks: draft.asks } as const]
      : []),
  ];
  return { writes: draft.writes, effects: [...calls, ...draft.effects], reasons: draft.reasons };
}

function look(ground: Ground, draft: Draft, read: Versioned<WorkerRecord>): void {
  const worker = read.value;
  const { moment } = ground;
  if (worker.state === 'ended' && isFailure(worker)) draft.failed.push(worker);
  if (neverSent(ground, worker)) {
    takeBack(ground, draft, read);
    return;
  }
  if (worker.due === undefined || worker.due > moment.now) return;
  switch (worker.state) {
    case 'launching':
      ask(ground, draft, read, 'Mesos has not spoken of it since its ACCEPT');
      return;
    case 'unreachable':
      unreachable(ground, draft, read);
      return;
    case 'stopping':
      kill(ground, draft, read, worker.why);
      return;
    case 'ended':
      forget(ground, draft, read);
      return;
    default:
      write(ground, draft, read, patched(worker, { due: undefined, why: worker.why }, moment));
  }
}

/** Only an offer that is held can be accepted: of a lapsed one no ACCEPT was sent, nor will be. */
function neverSent({ lapsed }: Ground, { state, status, launch }: WorkerRecord): boolean {
  if (state !== 'launching' || status !== undefined || launch === undefined) return false;
  return launch.offerIds.some((id) => lapsed.has(id));
}

function takeBack(ground: Ground, draft: Draft, read: Versioned<WorkerRecord>): void {
  const why = 'its offers lapsed before an ACCEPT came';
  const next = takenBack(read.value, why, ground.moment);
  draft.reasons.push({ about: next.id, why: next.why });
  write(ground, draft, read, next);
}

function ask(ground: Ground, draft: Draft, read: Versioned<WorkerRecord>, why: string): void {
  const worker = read.value;
  draft.asks.push(taskOf(worker));
  draft.reasons.push({ about: worker.id, why: `${why}: asked about by RECONCILE` });
  later(ground, draft, read, askAgainMs);
}

/** With the driver Flink's heartbeat decides; without it the worker is given up after the grace. */
function unreachable(ground: Ground, draft: Draft, read: Versioned<WorkerRecord>): void {
  const { settings, moment, framework } = ground;
  const since = read.value.times.unreachable ?? moment.now;
  const over = moment.now - since >= settings.failures.unreachableGraceMs;
  // A doubted worker is ended by `updates` alone, under its rule and its limit.
  const doubted = (read.value.doubts ?? 0) > 0;
  const patient = settings.demand.mode === 'driver' || doubted || !over;
  if (patient || !mayKill(framework)) {
    ask(ground, draft, read, 'its agent cannot be reached');
    return;
  }
  kill(ground, draft, read, `its agent could not be reached for ${moment.now - since} ms`);
}

/** While held nothing is killed; it is looked at again. */
function kill(ground: Ground, draft: Draft, read: Versioned<WorkerRecord>, why: string): void {
  const { next, kills } = killed(read.value, why, ground);
  const repeat = `KILL number ${next.kills}: it has not ended yet`;
  const reason = read.value.state === 'stopping' ? repeat : why;
  if (kills.length > 0) draft.reasons.push({ about: next.id, why: reason });
  draft.kills.push(...kills);
  write(ground, draft, read, next);
}

function forget(ground: Ground, draft: Draft, read: Versioned<WorkerRecord>): void {
  const worker = read.value;
  const { moment, state } = ground;
  const age = moment.now - (worker.times.ended ?? moment.now);
  const acknowledged = worker.unacknowledged === undefined || age >= acknowledgeMaxMs;
  const confirmed = worker.confirmed || ground.settings.demand.mode === 'fixed';
  if (confirmed && acknowledged) {
    draft.writes.push(...forgetWrites(read, state.paths));
    return;
  }
  later(ground, draft, read, confirmAgainMs);
}

function later(ground: Ground, draft: Draft, read: Versioned<WorkerRecord>, pauseMs: number): void {
  const { moment } = ground;
  const { why } = read.value;
  write(ground, draft, read, patched(read.value, { due: moment.now + pauseMs, why }, moment));
}

function write(
  ground: Ground,
  draft: Draft,
  read: Versioned<WorkerRecord>,
  next: WorkerRecord,
): void {
  draft.writes.push(...workerWrites(read, next, ground.state.paths));
  if (next.state !== read.value.state) draft.effects.push(workerChanged(next));
}
