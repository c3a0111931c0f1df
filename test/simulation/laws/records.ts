import {
  type DriverRecord,
  driverRecord,
  type FrameworkRecord,
  fleetRecord,
  frameworkRecord,
  type RecordPaths,
  type WorkerRecord,
  workerRecord,
} from '#proto/records.ts';
import { specRecord } from '#proto/spec.ts';
import type { Ensemble, LogEntry } from '../world/store/ensemble.ts';
import type { TreeOp } from '../world/store/tree.ts';

/** The records as ZooKeeper agreed on them, without any lag, and what they ever were. */
export class AgreedRecords {
  readonly workers = new Map<string, WorkerRecord>();
  framework: FrameworkRecord | undefined;
  /** Which session holds Flink's side. */
  driver: DriverRecord | undefined;
  /** Workers that ever were in `launching`. */
  readonly decided = new Set<string>();
  /** uuids (base64) of statuses that were ever stored. */
  readonly stored = new Set<string>();
  /** Request to the worker made for it. */
  readonly requests = new Map<string, string>();
  /** Workers made for a request that had one already. */
  readonly doubled: string[] = [];
  readonly #ensemble: Ensemble;
  readonly #paths: RecordPaths;
  readonly #onRestore: (() => void)[] = [];
  readonly #onFramework: ((framework: FrameworkRecord) => void)[] = [];
  readonly #onWorker: ((worker: WorkerRecord, before: WorkerRecord | undefined) => void)[] = [];

  constructor(ensemble: Ensemble, paths: RecordPaths) {
    this.#ensemble = ensemble;
    this.#paths = paths;
    ensemble.onCommit((entry) => this.#commit(entry));
    ensemble.onRestore(() => this.#reload());
  }

  /** Hears when an old copy was put in place of what was there. */
  onRestore(listener: () => void): void {
    this.#onRestore.push(listener);
  }

  onFramework(listener: (framework: FrameworkRecord) => void): void {
    this.#onFramework.push(listener);
  }

  onWorker(listener: (worker: WorkerRecord, before: WorkerRecord | undefined) => void): void {
    this.#onWorker.push(listener);
  }

  names(folder: string): readonly string[] {
    return this.#ensemble.agreed.children(folder);
  }

  /** Ids were given out up to this number, as far as the store knows. */
  get counter(): number {
    const fleet = this.#ensemble.agreed.get(this.#paths.fleet);
    return fleet === undefined ? 0 : fleetRecord.parse(JSON.parse(fleet.data)).counter;
  }

  /** The number of workers that an administrator has asked for last. */
  get target(): number | undefined {
    const spec = this.#ensemble.agreed.get(this.#paths.spec);
    return spec && specRecord.parse(JSON.parse(spec.data)).overrides.target;
  }

  get waiting(): readonly string[] {
    return this.names(this.#paths.waiting);
  }

  /** What the store knows is what its copy knew. */
  #reload(): void {
    const { agreed } = this.#ensemble;
    this.workers.clear();
    this.requests.clear();
    this.framework = undefined;
    this.driver = undefined;
    for (const path of agreed.paths) {
      this.#apply({ kind: 'create', path, data: agreed.get(path)?.data ?? '' });
    }
    for (const listener of this.#onRestore) listener();
  }

  #commit(entry: LogEntry): void {
    if (!entry.result.ok) return;
    for (const op of entry.ops) this.#apply(op);
  }

  #apply(op: TreeOp): void {
    if (op.path === this.#paths.framework && 'data' in op) {
      this.framework = frameworkRecord.parse(JSON.parse(op.data));
      for (const listener of this.#onFramework) listener(this.framework);
    }
    if (op.path === this.#paths.driver && 'data' in op) {
      this.driver = driverRecord.parse(JSON.parse(op.data));
    }
    const prefix = `${this.#paths.workers}/`;
    if (!op.path.startsWith(prefix)) return;
    const id = op.path.slice(prefix.length);
    if (op.kind === 'remove') this.workers.delete(id);
    if (!('data' in op)) return;
    const worker = workerRecord.parse(JSON.parse(op.data));
    const before = this.workers.get(id);
    this.workers.set(id, worker);
    this.#remember(worker, op.kind === 'create');
    for (const listener of this.#onWorker) listener(worker, before);
  }

  #remember(worker: WorkerRecord, isNew: boolean): void {
    if (worker.state === 'launching') this.decided.add(worker.id);
    if (worker.status?.uuid !== undefined) this.stored.add(worker.status.uuid);
    const { request } = worker;
    if (!isNew || request === undefined) return;
    if (this.requests.has(request)) this.doubled.push(worker.id);
    this.requests.set(request, worker.id);
  }
}
