import type {
  AgentRecord,
  FrameworkRecord,
  LaunchesRecord,
  RecordPaths,
  WorkerRecord,
} from '#proto/records.ts';
import type { ClusterSettings, SpecRecord } from '#proto/spec.ts';
import type { Decision, Moment, Reason } from '#runtime/function.ts';
import { createOf, replaceOf, type Versioned } from '#runtime/store/ops.ts';
import type { StoreOp } from '#runtime/store/store.ts';
import type { Effect, TaskName } from '../shared/effect.ts';
import type { Heard } from '../shared/heard.ts';
import {
  forgetWrites,
  killEffects,
  killed,
  mayKill,
  patched,
  taskOf,
  workerChanged,
  workerWrites,
} from '../shared/worker.ts';

export interface FailuresState {
  readonly paths: RecordPaths;
  readonly framework: Versioned<FrameworkRecord> | undefined;
  readonly spec: Versioned<SpecRecord> | undefined;
  readonly launches: Versioned<LaunchesRecord> | undefined;
  /** Records of the agents on which the loaded workers were. */
  readonly agents: ReadonlyMap<string, Versioned<AgentRecord>>;
  /** Workers whose deadline has passed, and workers that are told to have ended. */
  readonly workers: readonly Versioned<WorkerRecord>[];
}

const minuteMs = 60_000;
/** An agent is avoided for at most so long; after so long without a failure it counts from one again. */
const penaltyMaxMs = 600_000;
/** An ended worker whose end nobody has confirmed yet is looked at again after so long. */
const confirmAgainMs = 5000;
/** A status of an ended worker is not waited for longer: Mesos repeats it, and a task without a record is acknowledged. */
const acknowledgeMaxMs = 60_000;
/** A worker that ends by itself so soon after TASK_RUNNING never worked. */
const earlyEndMs = 20_000;
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
  readonly moment: Moment;
}

/** What follows when a deadline has passed, and what failed launches cost. */
export function decide(
  state: FailuresState,
  _events: readonly Heard[],
  moment: Moment,
): Decision<Effect> {
  const { framework, spec } = state;
  if (framework === undefined || spec === undefined || framework.value.state !== 'active') {
    return { writes: [], effects: [], reasons: [] };
  }
  const draft: Draft = { writes: [], effects: [], reasons: [], kills: [], asks: [], failed: [] };
  const settings = spec.value.configured;
  const ground: Ground = { state, settings, framework: framework.value, moment };
  for (const read of state.workers) look(ground, draft, read);
  count(ground, draft);
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

/**
 * A launch failed when the worker ended by itself before it ran, or right after: a command that
 * cannot work is TASK_RUNNING before it is TASK_FAILED. What was withdrawn is nobody's fault.
 */
function isFailure(worker: WorkerRecord): boolean {
  const { times, launch, status } = worker;
  if (launch === undefined || times.stopping !== undefined || status === undefined) return false;
  if (!broke.has(status.state) || faultless.has(status.reason ?? '')) return false;
  return times.running === undefined || (times.ended ?? 0) - times.running < earlyEndMs;
}

/** States in which a task ends by itself. */
const broke = new Set(['TASK_FAILED', 'TASK_FINISHED', 'TASK_ERROR', 'TASK_LOST', 'TASK_DROPPED']);

const faultless = new Set([
  'REASON_INVALID_OFFERS',
  'REASON_RECONCILIATION',
  'REASON_AGENT_DISCONNECTED',
  'REASON_AGENT_REMOVED',
  'REASON_AGENT_DRAINING',
  'REASON_MASTER_DISCONNECTED',
]);

/** Counts each failed launch once, pauses launches above the rate, and avoids the agents. */
function count(ground: Ground, draft: Draft): void {
  const { state, settings, moment } = ground;
  const before = state.launches?.value;
  const recent = (before?.failures ?? []).filter((one) => moment.now - one.at < minuteMs);
  const known = new Set(recent.map((one) => one.worker));
  const news = draft.failed.filter(
    (worker) => !known.has(worker.id) && moment.now - (worker.times.ended ?? moment.now) < minuteMs,
  );
  if (news.length === 0) return;
  const failures = [
    ...recent,
    ...news.map((worker) => ({ worker: worker.id, at: worker.times.ended ?? moment.now })),
  ];
  const over = failures.length > settings.failures.maxPerMinute;
  const pauses = over ? (recent.length === 0 ? 0 : (before?.pauses ?? 0)) + 1 : 0;
  const pauseMs = Math.min(minuteMs, settings.failures.pauseMs * 2 ** (pauses - 1));
  const next: LaunchesRecord = {
    v: 1,
    op: moment.op,
    failures,
    notBefore: over ? moment.now + pauseMs : (before?.notBefore ?? 0),
    pauses,
  };
  const launches = state.launches;
  draft.writes.push(
    launches === undefined ? createOf(state.paths.launches, next) : replaceOf(launches, next),
  );
  for (const worker of news) draft.reasons.push({ about: worker.id, why: 'its launch failed' });
  if (over) {
    const why = `${failures.length} launches failed within a minute: none for ${pauseMs} ms`;
    draft.reasons.push({ about: 'launches', why });
  }
  for (const [agentId, workers] of byAgent(news)) avoid(ground, draft, agentId, workers);
}

function avoid(
  ground: Ground,
  draft: Draft,
  agentId: string,
  workers: readonly WorkerRecord[],
): void {
  const { state, settings, moment } = ground;
  const read = state.agents.get(agentId);
  const before = read?.value;
  const stale = before === undefined || moment.now - before.avoidUntil > penaltyMaxMs;
  const failures = (stale ? 0 : before.failures) + 1;
  const pause = Math.min(penaltyMaxMs, settings.failures.agentPenaltyMs * 2 ** (failures - 1));
  const why = workers[0]?.why ?? '';
  const next: AgentRecord = {
    v: 1,
    op: moment.op,
    failures,
    avoidUntil: moment.now + pause,
    why,
  };
  const path = state.paths.agent(agentId);
  draft.writes.push(read === undefined ? createOf(path, next) : replaceOf(read, next));
  draft.reasons.push({ about: agentId, why: `avoided for ${pause} ms: ${why}` });
}

function byAgent(workers: readonly WorkerRecord[]): Map<string, WorkerRecord[]> {
  const agents = new Map<string, WorkerRecord[]>();
  for (const worker of workers) {
    if (worker.agentId === undefined) continue;
    agents.set(worker.agentId, [...(agents.get(worker.agentId) ?? []), worker]);
  }
  return agents;
}
