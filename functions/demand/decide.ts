import type { DemandAnswer } from '#proto/messages.ts';
import type {
  DriverRecord,
  FleetRecord,
  FrameworkRecord,
  RecordPaths,
  RequestRecord,
  WorkerRecord,
} from '#proto/records.ts';
import type { SpecRecord } from '#proto/spec.ts';
import type { Decision, Moment, Reason } from '#runtime/function.ts';
import type { StoreOp } from '#runtime/store/store.ts';
import type { Effect } from '../shared/effect.ts';
import type { Heard } from '../shared/heard.ts';
import { newWorkerWrites, workerChanged, workerWrites } from '../shared/worker.ts';
import { created, type Read, replaced, unchanged } from '../shared/writes.ts';
import { hearDriver } from './rules/driver.ts';
import { converge, type FleetView } from './rules/fixed.ts';

export interface DemandState {
  readonly paths: RecordPaths;
  readonly framework: Read<FrameworkRecord> | undefined;
  readonly spec: Read<SpecRecord> | undefined;
  readonly driver: Read<DriverRecord> | undefined;
  readonly fleet: Read<FleetRecord> | undefined;
  /** Requests that the events name, by `<session>-<n>`. */
  readonly requests: ReadonlyMap<string, RequestRecord>;
  /** Workers that the events, their requests, or a round over the fleet name. */
  readonly workers: ReadonlyMap<string, Read<WorkerRecord>>;
  /** Names of the fleet, where the number of workers is to be brought to its target. */
  readonly view: FleetView | undefined;
  /** Workers in `stopping` and `ended`: whose ends the driver may not know. */
  readonly leaving: readonly string[];
}

/** What one batch has come to so far; later events see what earlier ones decided. */
export interface Draft {
  readonly state: DemandState;
  readonly moment: Moment;
  readonly spec: SpecRecord;
  readonly framework: FrameworkRecord;
  counter: number;
  driver: DriverRecord | undefined;
  readonly made: Map<string, WorkerRecord>;
  readonly changed: Map<string, WorkerRecord>;
  readonly requests: Map<string, RequestRecord>;
  readonly kills: WorkerRecord[];
  readonly effects: Effect[];
  readonly reasons: Reason[];
  readonly answers: Map<number, DemandAnswer>;
}

/** Which workers are wanted and which may go: as Flink's driver asks, or up to a fixed target. */
export function decide(
  state: DemandState,
  events: readonly Heard[],
  moment: Moment,
): Decision<Effect> {
  const { framework, spec, fleet } = state;
  if (framework === undefined || spec === undefined || fleet === undefined) {
    return refuseAll(events, 'no cluster is recorded yet: a gateway must have led once');
  }
  const draft: Draft = {
    state,
    moment,
    spec: spec.value,
    framework: framework.value,
    counter: fleet.value.counter,
    driver: state.driver?.value,
    made: new Map(),
    changed: new Map(),
    requests: new Map(),
    kills: [],
    effects: [],
    reasons: [],
    answers: new Map(),
  };
  for (const [index, event] of events.entries()) {
    if (event.kind === 'demand') hearDriver(draft, event, index);
    if (event.kind === 'changed' && event.record === 'worker') tellDriver(draft, event.id);
  }
  if (events.some((event) => event.kind === 'tick')) {
    for (const id of state.leaving) tellDriver(draft, id);
  }
  if (state.view !== undefined && framework.value.state === 'active') converge(draft, state.view);
  return concluded(draft);
}

/** A worker as this batch has it. */
export function workerIn(draft: Draft, id: string): WorkerRecord | undefined {
  return draft.changed.get(id) ?? draft.made.get(id) ?? draft.state.workers.get(id)?.value;
}

/** Keeps a changed worker, wherever it came from. */
export function keep(draft: Draft, worker: WorkerRecord): void {
  if (draft.made.has(worker.id)) draft.made.set(worker.id, worker);
  else draft.changed.set(worker.id, worker);
}

/** `launched` and `ended` are pushed on every hint, and `ended` on every tick until it is confirmed. */
function tellDriver(draft: Draft, id: string): void {
  const { driver } = draft;
  const worker = workerIn(draft, id);
  if (driver === undefined || worker === undefined) return;
  if (worker.state === 'ended') {
    if (worker.confirmed) return;
    const { session } = driver;
    draft.effects.push({ kind: 'ended', session, worker: id, why: worker.why });
    return;
  }
  const prefix = `${driver.session}-`;
  if (worker.state === 'wanted' || worker.request?.startsWith(prefix) !== true) return;
  const n = Number(worker.request.slice(prefix.length));
  draft.effects.push({ kind: 'launched', session: driver.session, n, worker: id });
}

function concluded(draft: Draft): Decision<Effect> {
  const { state, moment } = draft;
  const { paths, fleet } = state;
  const writes: StoreOp[] = [];
  if (fleet !== undefined && draft.counter !== fleet.value.counter) {
    writes.push(replaced(fleet, { ...fleet.value, op: moment.op, counter: draft.counter }));
  }
  for (const [id, request] of draft.requests) writes.push(created(paths.request(id), request));
  for (const worker of draft.made.values()) writes.push(...newWorkerWrites(worker, paths));
  for (const [id, next] of draft.changed) {
    const read = state.workers.get(id);
    if (read !== undefined) writes.push(...workerWrites(read, next, paths));
  }
  writes.push(...driverWrites(draft, writes.length > 0));
  const moved = [...draft.made.values(), ...draft.changed.values()].filter(
    (worker) => state.workers.get(worker.id)?.value.state !== worker.state,
  );
  return {
    writes,
    effects: [...killEffects(draft), ...draft.effects, ...moved.map(workerChanged)],
    reasons: draft.reasons,
    answers: draft.answers,
  };
}

/** A take-over replaces the driver's node; every other write holds only while the session does. */
function driverWrites(draft: Draft, others: boolean): StoreOp[] {
  const { driver } = draft.state;
  if (draft.driver !== undefined && draft.driver !== driver?.value) {
    const { paths } = draft.state;
    return [
      driver === undefined ? created(paths.driver, draft.driver) : replaced(driver, draft.driver),
    ];
  }
  return others && driver !== undefined ? [unchanged(driver)] : [];
}

function killEffects(draft: Draft): Effect[] {
  if (draft.kills.length === 0) return [];
  const { id, epoch } = draft.framework;
  const tasks = draft.kills.map((worker) => ({ taskId: worker.id, agentId: worker.agentId }));
  return [{ kind: 'kill', framework: { id, epoch }, tasks }];
}

function refuseAll(events: readonly Heard[], message: string): Decision<Effect> {
  const answers = new Map(
    events.flatMap((event, index): [number, DemandAnswer][] =>
      event.kind === 'demand' ? [[index, { status: 'refused', message }]] : [],
    ),
  );
  return { writes: [], effects: [], reasons: [], answers };
}
