import type { TaskStatus } from '#proto/mesos/types.ts';
import type {
  FrameworkRecord,
  ReconcileRecord,
  RecordPaths,
  WorkerRecord,
} from '#proto/records.ts';
import type { SpecRecord } from '#proto/spec.ts';
import type { Decision, Moment, Reason } from '#runtime/function.ts';
import { replaceOf, type Versioned } from '#runtime/store/ops.ts';
import type { Effect, Registration } from '../shared/effect.ts';
import type { Heard, HeardUpdate } from '../shared/heard.ts';
import {
  killEffects,
  mayKill,
  patched,
  workerChanged,
  workerNumber,
  workerWrites,
} from '../shared/worker.ts';
import { applied } from './rules/apply.ts';
import { stay } from './rules/stay.ts';
import { mayLive, saidBy } from './rules/table.ts';

export interface UpdatesState {
  readonly paths: RecordPaths;
  readonly framework: Versioned<FrameworkRecord> | undefined;
  readonly spec: Versioned<SpecRecord> | undefined;
  readonly reconcile: Versioned<ReconcileRecord> | undefined;
  /** Ids were given out up to this number; read when a task without a record is told of. */
  readonly counter: number;
  readonly workers: ReadonlyMap<string, Versioned<WorkerRecord>>;
  /** When this copy last sent KILL for a task without a record: a hint that spares repeats. */
  readonly killedAt: ReadonlyMap<string, number>;
}

/** A task without a record is killed at most once within this time. */
const killSpacingMs = 10_000;
/** A hold is set where reconciliation would end more than this share of the fleet, and more than so many. */
const heldShare = 0.2;
const heldCount = 5;

/** What one batch of updates has come to so far. */
interface Draft {
  readonly workers: Map<string, WorkerRecord>;
  readonly effects: Effect[];
  readonly reasons: Reason[];
  /** Workers that reconciliation ended in this batch. */
  vanished: number;
  held: FrameworkRecord['held'];
  /** The highest worker number above the counter that Mesos spoke of. */
  highest: number;
  fromAbsence: boolean;
}

interface Ground {
  readonly state: UpdatesState;
  readonly framework: FrameworkRecord;
  readonly settings: SpecRecord['configured'];
  readonly registration: Registration;
  readonly moment: Moment;
}

/** The next state of each worker; a status is acknowledged only after it is stored. */
export function decide(
  state: UpdatesState,
  events: readonly Heard[],
  moment: Moment,
): Decision<Effect> {
  const { framework, spec } = state;
  if (framework === undefined || spec === undefined) {
    return { writes: [], effects: [], reasons: [], fromAbsence: true };
  }
  const ground: Ground = {
    state,
    framework: framework.value,
    settings: spec.value.configured,
    registration: { id: framework.value.id, epoch: framework.value.epoch },
    moment,
  };
  const draft: Draft = {
    workers: new Map(),
    effects: [],
    reasons: [],
    vanished: 0,
    held: framework.value.held,
    highest: framework.value.held?.highest ?? 0,
    fromAbsence: false,
  };
  for (const event of events) hear(ground, draft, event);
  return concluded(ground, draft, framework);
}

function hear(ground: Ground, draft: Draft, event: Heard): void {
  switch (event.kind) {
    case 'update':
      if (event.epoch < ground.framework.epoch) {
        const why = `${event.status.state} of an older epoch: Mesos repeats what it still owes`;
        draft.reasons.push({ about: event.status.task_id.value, why });
      } else {
        update(ground, draft, event);
      }
      return;
    case 'acknowledged':
      acknowledged(ground, draft, event);
      return;
    case 'failure': {
      const why = `FAILURE: ${event.executorId === '' ? 'the agent is gone' : 'an executor ended'}`;
      draft.reasons.push({ about: event.agentId, why });
      return;
    }
    case 'inverse-offers':
      if (event.epoch === ground.framework.epoch) stay(draft, event.offers, ground.registration);
      return;
    case 'remark':
      draft.reasons.push({ about: 'framework', why: event.what });
      return;
    default:
  }
}

function update(ground: Ground, draft: Draft, event: HeardUpdate): void {
  const { status } = event;
  const id = status.task_id.value;
  const worker = draft.workers.get(id) ?? ground.state.workers.get(id)?.value;
  if (worker === undefined) {
    stranger(ground, draft, status);
  } else {
    known(ground, draft, worker, event);
  }
}

function known(ground: Ground, draft: Draft, worker: WorkerRecord, event: HeardUpdate): void {
  const { status, epoch, sequence } = event;
  const { moment, settings } = ground;
  if (worker.state === 'launching' && isDuplicate(status)) {
    launchedBefore(ground, draft, worker, status);
    return;
  }
  const framework = present(ground, draft);
  const uuid = uuidOf(status);
  const result = applied(worker, status, {
    epoch,
    sequence,
    settings,
    framework,
    uuid,
    moment,
  });
  if (result.vanished && wouldHold(ground, draft)) return;
  if (result.vanished) draft.vanished += 1;
  draft.workers.set(worker.id, result.worker);
  draft.reasons.push({ about: worker.id, why: `${result.verdict}: ${result.worker.why}` });
  const last = result.worker.state === 'ended' && result.worker.unacknowledged === uuid;
  acknowledge(ground, draft, status, last);
  const toKill = result.verdict === 'stop' || result.verdict === 'kill';
  if (toKill && mayKill(framework)) kill(ground, draft, status);
}

/** The id was given out twice. Mesos tells of the task that lives when it is asked at the launch deadline. */
function launchedBefore(
  { moment }: Ground,
  draft: Draft,
  { id }: WorkerRecord,
  { message }: TaskStatus,
): void {
  const why = `task ${id} was launched before its record was made: the store is older than the cluster`;
  draft.held ??= { since: moment.now, why };
  draft.reasons.push({ about: id, why: `a task of this id lives already: ${message}` });
}

/** Mesos has refused a launch because a task of the same id lives (FACTS: a duplicate id). */
function isDuplicate({ reason, message }: TaskStatus): boolean {
  return reason === 'REASON_TASK_INVALID' && /duplicate id/i.test(message ?? '');
}

/** A task without a record must not run on; everything else about it is only acknowledged. */
function stranger(ground: Ground, draft: Draft, status: TaskStatus): void {
  const { state, moment } = ground;
  const id = status.task_id.value;
  draft.fromAbsence = true;
  if (mayLive(saidBy(status))) {
    const number = workerNumber(id);
    if (number !== undefined && number > state.counter) {
      draft.highest = Math.max(draft.highest, number);
      const why = `task ${id} is newer than the records (ids were given out up to ${state.counter}): the store is older than the cluster`;
      draft.held ??= { since: moment.now, why };
    }
    // A clock that was set back must not put the KILL off.
    const sinceMs = Math.abs(moment.now - (state.killedAt.get(id) ?? Number.NEGATIVE_INFINITY));
    if (mayKill(present(ground, draft)) && sinceMs >= killSpacingMs) {
      draft.reasons.push({ about: id, why: `no record of this task (${status.state}): KILL` });
      kill(ground, draft, status);
    }
  }
  acknowledge(ground, draft, status, false);
}

/** The framework with what this batch has held. */
function present(ground: Ground, draft: Draft): FrameworkRecord {
  return { ...ground.framework, held: draft.held };
}

/** Too many workers gone by reconciliation alone show a wrong store or a wrong master. */
function wouldHold(ground: Ground, draft: Draft): boolean {
  if (draft.held !== undefined) return true;
  const round = ground.state.reconcile?.value;
  if (round?.released === true) return false;
  const lost = (round?.lost ?? 0) + draft.vanished + 1;
  if (lost <= Math.max(heldCount, heldShare * (round?.asked ?? 0))) return false;
  const why = `Mesos does not know ${lost} of ${round?.asked ?? 0} workers: a wrong master, or a store of another cluster`;
  draft.held = { since: ground.moment.now, why };
  return true;
}

function acknowledged(
  ground: Ground,
  draft: Draft,
  event: Heard & { readonly kind: 'acknowledged' },
): void {
  const worker = draft.workers.get(event.worker) ?? ground.state.workers.get(event.worker)?.value;
  if (worker === undefined || worker.unacknowledged !== event.uuid) return;
  const next = patched(worker, { unacknowledged: undefined, why: worker.why }, ground.moment);
  draft.workers.set(worker.id, next);
}

function acknowledge(ground: Ground, draft: Draft, status: TaskStatus, last: boolean): void {
  if (status.uuid === undefined || status.agent_id === undefined) return;
  draft.effects.push({
    kind: 'acknowledge',
    framework: ground.registration,
    taskId: status.task_id.value,
    agentId: status.agent_id.value,
    uuid: status.uuid,
    last,
  });
}

function kill(ground: Ground, draft: Draft, status: TaskStatus): void {
  const task = { taskId: status.task_id.value, agentId: status.agent_id?.value };
  draft.effects.push(...killEffects(ground.framework, [task]));
}

function concluded(
  ground: Ground,
  draft: Draft,
  framework: Versioned<FrameworkRecord>,
): Decision<Effect> {
  const { state, moment } = ground;
  const reads = [...draft.workers].flatMap(([id, next]) => {
    const read = state.workers.get(id);
    return read === undefined ? [] : [{ read, next }];
  });
  const writes = reads.flatMap(({ read, next }) => workerWrites(read, next, state.paths));
  const changed = reads
    .filter(({ read, next }) => read.value.state !== next.state)
    .map(({ next }) => workerChanged(next));
  if (draft.vanished > 0 && state.reconcile !== undefined) {
    const round = state.reconcile.value;
    const lost = round.lost + draft.vanished;
    writes.push(replaceOf(state.reconcile, { ...round, op: moment.op, lost }));
  }
  const { held: before } = framework.value;
  const higher = draft.highest > (before?.highest ?? 0);
  if (draft.held !== undefined && (before === undefined || higher)) {
    const held = { ...draft.held, ...(draft.highest > 0 ? { highest: draft.highest } : {}) };
    writes.push(replaceOf(framework, { ...framework.value, op: moment.op, held }));
    draft.reasons.push({ about: 'framework', why: `held: ${held.why}` });
  }
  return {
    writes,
    effects: [...draft.effects, ...changed],
    reasons: draft.reasons,
    ...(draft.fromAbsence ? { fromAbsence: true } : {}),
  };
}

function uuidOf(status: TaskStatus): string | undefined {
  if (status.uuid === undefined) return undefined;
  return btoa(String.fromCharCode(...status.uuid));
}
