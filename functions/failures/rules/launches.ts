import type { AgentRecord, LaunchesRecord, WorkerRecord } from '#proto/records.ts';
import type { ClusterSettings } from '#proto/spec.ts';
import type { Moment, Reason } from '#runtime/function.ts';
import { createOf, replaceOf } from '#runtime/store/ops.ts';
import type { StoreOp } from '#runtime/store/store.ts';
import type { FailuresState } from '../decide.ts';

/** What failed launches are counted against. */
interface Ground {
  readonly state: FailuresState;
  readonly settings: ClusterSettings;
  readonly moment: Moment;
}

/** What failed launches cost. */
interface Cost {
  readonly writes: StoreOp[];
  readonly reasons: Reason[];
}

const minuteMs = 60_000;
/** An agent is avoided for at most so long; after so long without a failure it counts from one again. */
const penaltyMaxMs = 600_000;
/** A worker that ends by itself so soon after TASK_RUNNING never worked. */
const earlyEndMs = 20_000;

/**
 * A launch failed when the worker ended by itself before it ran, or right after: a command that
 * cannot work is TASK_RUNNING before it is TASK_FAILED. What was withdrawn is nobody's fault.
 */
export function isFailure(worker: WorkerRecord): boolean {
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
export function failedLaunches(ground: Ground, failed: readonly WorkerRecord[]): Cost {
  const { state, settings, moment } = ground;
  const before = state.launches?.value;
  const recent = (before?.failures ?? []).filter((one) => moment.now - one.at < minuteMs);
  const known = new Set(recent.map((one) => one.worker));
  const news = failed.filter(
    (worker) => !known.has(worker.id) && moment.now - (worker.times.ended ?? moment.now) < minuteMs,
  );
  const cost: Cost = { writes: [], reasons: [] };
  if (news.length === 0) return cost;
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
  cost.writes.push(
    launches === undefined ? createOf(state.paths.launches, next) : replaceOf(launches, next),
  );
  for (const worker of news) cost.reasons.push({ about: worker.id, why: 'its launch failed' });
  if (over) {
    const why = `${failures.length} launches failed within a minute: none for ${pauseMs} ms`;
    cost.reasons.push({ about: 'launches', why });
  }
  for (const [agentId, workers] of byAgent(news)) avoid(ground, cost, agentId, workers);
  return cost;
}

function avoid(
  ground: Ground,
  cost: Cost,
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
  cost.writes.push(read === undefined ? createOf(path, next) : replaceOf(read, next));
  cost.reasons.push({ about: agentId, why: `avoided for ${pause} ms: ${why}` });
}

function byAgent(workers: readonly WorkerRecord[]): Map<string, WorkerRecord[]> {
  const agents = new Map<string, WorkerRecord[]>();
  for (const worker of workers) {
    if (worker.agentId === undefined) continue;
    agents.set(worker.agentId, [...(agents.get(worker.agentId) ?? []), worker]);
  }
  return agents;
}
