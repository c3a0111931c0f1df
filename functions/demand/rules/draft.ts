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
import type { Moment, Reason } from '#runtime/function.ts';
import type { Versioned } from '#runtime/store/ops.ts';
import type { Effect, TaskName } from '../../shared/effect.ts';
import { stopped } from '../../shared/worker.ts';

/** What `demand` decides from. */
export interface DemandState {
  readonly paths: RecordPaths;
  readonly framework: Versioned<FrameworkRecord> | undefined;
  readonly spec: Versioned<SpecRecord> | undefined;
  readonly driver: Versioned<DriverRecord> | undefined;
  readonly fleet: Versioned<FleetRecord> | undefined;
  /** Requests that the events name, by `<session>-<n>`. */
  readonly requests: ReadonlyMap<string, RequestRecord>;
  /** Workers that the events, their requests, or a round over the fleet name. */
  readonly workers: ReadonlyMap<string, Versioned<WorkerRecord>>;
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
  readonly kills: TaskName[];
  readonly effects: Effect[];
  readonly reasons: Reason[];
  readonly answers: Map<number, DemandAnswer>;
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

/** Lets a worker go. Whoever does so knows its end already: nobody waits to be told. */
export function letGo(draft: Draft, worker: WorkerRecord, why: string): void {
  const { framework, spec, moment } = draft;
  const { next, kills } = stopped(worker, why, { framework, settings: spec.configured, moment });
  keep(draft, { ...next, confirmed: true });
  draft.kills.push(...kills);
  draft.reasons.push({ about: worker.id, why });
}

/**
 * The fleet by name. It was read after the counter's record, so that no worker made before that
 * version is missing; the transaction holds only at that version.
 */
export interface FleetView {
  /** Ids of the workers that count, ascending. */
  readonly living: readonly string[];
  /** Of these, the ones that wait for a place. */
  readonly waiting: readonly string[];
}
