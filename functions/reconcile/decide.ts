import type {
  FrameworkRecord,
  ReconcileRecord,
  RecordPaths,
  WorkerRecord,
} from '#proto/records.ts';
import type { SpecRecord } from '#proto/spec.ts';
import type { Decision, Moment, Reason } from '#runtime/function.ts';
import { createOf, replaceOf, type Versioned } from '#runtime/store/ops.ts';
import type { StoreOp } from '#runtime/store/store.ts';
import type { Effect, Registration } from '../shared/effect.ts';
import type { Heard } from '../shared/heard.ts';
import { ended, taskOf, workerChanged, workerWrites } from '../shared/worker.ts';

export interface ReconcileState {
  readonly paths: RecordPaths;
  readonly framework: Versioned<FrameworkRecord> | undefined;
  readonly spec: Versioned<SpecRecord> | undefined;
  readonly reconcile: Versioned<ReconcileRecord> | undefined;
  /** The whole fleet where an explicit round is due, else undefined: the fleet is not read on every tick. */
  readonly workers: readonly Versioned<WorkerRecord>[] | undefined;
}

/** The first implicit round of an epoch comes this long after the explicit one. */
const implicitOffsetMs = 5000;
/** Workers of a removed framework that one transaction ends. */
const endedAtOnce = 100;

/** Whether a round is due that needs the whole fleet; the handler asks before it loads. */
export function needsFleet(
  reconcile: ReconcileRecord | undefined,
  events: readonly Heard[],
  now: number,
): boolean {
  const epoch = standingEpoch(events);
  if (epoch === undefined) return false;
  if (reconcile === undefined || epoch > reconcile.epoch) return true;
  if (reconcile.explicitDue === undefined) return missedIn(events, epoch) > reconcile.missed;
  return reconcile.explicitDue <= now;
}

/**
 * Explicit rounds for the workers that Mesos has not spoken of in this epoch, with truncated
 * exponential back-off and jitter until each has answered; implicit rounds for tasks without a record.
 */
export function decide(
  state: ReconcileState,
  events: readonly Heard[],
  moment: Moment,
): Decision<Effect> {
  const { framework, spec, reconcile } = state;
  const epoch = standingEpoch(events);
  if (framework === undefined || spec === undefined || epoch === undefined) return nothing;
  if (framework.value.state !== 'active' || framework.value.epoch !== epoch) return nothing;
  const settings = spec.value.configured.reconcile;
  const before = reconcile?.value;
  const fresh = before === undefined || before.epoch < epoch;
  const registration: Registration = { id: framework.value.id, epoch };
  let next: ReconcileRecord = fresh ? begun(epoch, moment) : { ...before, op: moment.op };
  // A round makes as many updates as there are workers: where those are missed too, rounds keep their pauses.
  const missed = missedIn(events, epoch);
  if (missed > next.missed) {
    next = { ...next, explicitDue: next.explicitDue ?? moment.now, missed };
  }
  const effects: Effect[] = [];
  const reasons: Reason[] = [];
  const writes: StoreOp[] = [];
  if (next.explicitDue !== undefined && next.explicitDue <= moment.now && state.workers) {
    const orphaned = endRemoved(state, framework.value, moment);
    writes.push(...orphaned.writes);
    effects.push(...orphaned.effects);
    reasons.push(...orphaned.reasons);
    const targets = asked(state.workers, framework.value, next);
    effects.push(...batches(targets, settings.batch, registration));
    if (targets.length > 0) {
      const why = `explicit round ${next.attempt + 1} of epoch ${epoch}: ${targets.length} workers`;
      reasons.push({ about: 'reconcile', why });
    }
    next = advanced(next, state.workers, targets, settings, moment, orphaned.more);
  }
  if (next.implicitDue <= moment.now) {
    effects.push({ kind: 'reconcile', framework: registration, tasks: [] });
    reasons.push({ about: 'reconcile', why: 'implicit round: tasks without a record show up' });
    next = { ...next, implicitDue: moment.now + settings.implicitEveryMs };
  }
  if (effects.length === 0 && before !== undefined && same(before, next)) return nothing;
  writes.push(
    reconcile === undefined ? createOf(state.paths.reconcile, next) : replaceOf(reconcile, next),
  );
  return { writes, effects, reasons };
}

const nothing: Decision<Effect> = { writes: [], effects: [], reasons: [] };

function begun(epoch: number, moment: Moment): ReconcileRecord {
  return {
    v: 1,
    op: moment.op,
    epoch,
    attempt: 0,
    explicitDue: moment.now,
    implicitDue: moment.now + implicitOffsetMs,
    asked: 0,
    lost: 0,
    missed: 0,
    released: false,
  };
}

/** Workers launched under a framework that Mesos has removed are gone with it. */
function endRemoved(
  state: ReconcileState,
  framework: FrameworkRecord,
  moment: Moment,
): Pick<Decision<Effect>, 'writes' | 'effects' | 'reasons'> & { readonly more: boolean } {
  const gone = (state.workers ?? []).filter((read) => isRemoved(read.value, framework));
  const why = 'its framework was removed from Mesos, and its task with it';
  const ends = gone
    .slice(0, endedAtOnce)
    .map((read) => ({ read, next: ended(read.value, { why }, moment) }));
  return {
    writes: ends.flatMap(({ read, next }) => workerWrites(read, next, state.paths)),
    effects: ends.map(({ next }) => workerChanged(next)),
    reasons: ends.map(({ next }) => ({ about: next.id, why })),
    more: gone.length > endedAtOnce,
  };
}

function isRemoved(worker: WorkerRecord, framework: FrameworkRecord): boolean {
  if (worker.state === 'ended' || worker.launch === undefined) return false;
  return worker.launch.epoch < (framework.firstEpoch ?? 0);
}

function asked(
  workers: readonly Versioned<WorkerRecord>[],
  framework: FrameworkRecord,
  round: ReconcileRecord,
): WorkerRecord[] {
  return workers
    .map((read) => read.value)
    .filter((worker) => worker.state !== 'wanted' && worker.state !== 'ended')
    .filter((worker) => !isRemoved(worker, framework))
    .filter((worker) => worker.spoke < round.epoch || unheard(worker, round));
}

/**
 * Nothing newer than the newest missed event was heard of it in this epoch. Of a task whose ACCEPT is
 * still on its way Mesos would say TASK_GONE: its launch deadline asks about it.
 */
function unheard({ state, told }: WorkerRecord, { epoch, missed }: ReconcileRecord): boolean {
  if (missed === 0 || state === 'launching') return false;
  return told === undefined || told.epoch < epoch || told.sequence < missed;
}

function batches(
  workers: readonly WorkerRecord[],
  size: number,
  framework: Registration,
): Effect[] {
  const effects: Effect[] = [];
  for (let start = 0; start < workers.length; start += size) {
    const tasks = workers.slice(start, start + size).map(taskOf);
    effects.push({ kind: 'reconcile', framework, tasks });
  }
  return effects;
}

function advanced(
  round: ReconcileRecord,
  workers: readonly Versioned<WorkerRecord>[],
  targets: readonly WorkerRecord[],
  settings: SpecRecord['configured']['reconcile'],
  moment: Moment,
  more: boolean,
): ReconcileRecord {
  const placed = workers.filter(({ value }) => past.has(value.state)).length;
  const first = round.attempt === 0 ? { asked: placed, lost: 0 } : {};
  if (more) return { ...round, ...first, explicitDue: moment.now };
  if (targets.length === 0) {
    const { explicitDue: _due, ...rest } = round;
    return { ...rest, ...first, attempt: 0 };
  }
  const pause = Math.min(settings.explicitMaxMs, settings.explicitBaseMs * 2 ** round.attempt);
  return {
    ...round,
    ...first,
    attempt: round.attempt + 1,
    explicitDue: Math.floor(moment.now + pause * (1 + 0.2 * moment.random)),
  };
}

/** States past `launching`. */
const past = new Set(['starting', 'running', 'unreachable', 'stopping']);

/** The epoch of a standing subscription, as the newest event tells it. */
function standingEpoch(events: readonly Heard[]): number | undefined {
  const epochs = events.flatMap((event) => {
    if (event.kind === 'subscribed') return [event.epoch];
    return event.kind === 'tick' && event.tick.subscribed ? [event.tick.epoch] : [];
  });
  return epochs.length === 0 ? undefined : Math.max(...epochs);
}

/** The newest missed event that a tick of this epoch tells of. */
function missedIn(events: readonly Heard[], epoch: number): number {
  return events.reduce(
    (newest, event) =>
      event.kind === 'tick' && event.tick.epoch === epoch
        ? Math.max(newest, event.tick.missed)
        : newest,
    0,
  );
}

function same(a: ReconcileRecord, b: ReconcileRecord): boolean {
  return (
    a.epoch === b.epoch &&
    a.attempt === b.attempt &&
    a.explicitDue === b.explicitDue &&
    a.implicitDue === b.implicitDue &&
    a.missed === b.missed
  );
}
