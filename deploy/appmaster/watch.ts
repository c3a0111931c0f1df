import { type FrameworkRecord, frameworkRecord, recordPathsOf } from '#proto/records.ts';
import { systemClock } from '#runtime/clock.ts';
import { readRecord } from '#runtime/store/records.ts';
import { rememberReads } from '#runtime/store/remembered.ts';
import type { Store } from '#runtime/store/store.ts';
import type { Outcome } from './stack.ts';

/** The exit codes of Flink's own entry points, as a shell sees them. */
const exitCodes = { SUCCEEDED: 0, CANCELED: 0, FAILED: 163, UNKNOWN: 165 } as const;

const everyMs = 500;

/** What is told about the framework's record. */
export interface WatchOptions {
  readonly store: Store;
  readonly zookeeperPath: string;
  readonly cluster: string;
  /** Called after each read, also when nothing changed. */
  readonly onRecord: (record: FrameworkRecord) => void;
  readonly onError: (error: unknown) => void;
}

/** Looks at the framework's record twice a second, and remembers it. */
export class FrameworkWatch {
  readonly #options: WatchOptions;
  readonly #path: string;
  /** Asks ZooKeeper only when the record has changed. */
  readonly #store: Store;
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #latest: FrameworkRecord | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#path = recordPathsOf(options.zookeeperPath, options.cluster).framework;
    this.#store = rememberReads(options.store, systemClock, { nodes: [this.#path], folders: [] });
  }

  /** The record as it was last read. */
  get latest(): FrameworkRecord | undefined {
    return this.#latest;
  }

  /** Reads once; the caller decides by it what to start. */
  async read(): Promise<FrameworkRecord | undefined> {
    const read = await readRecord(this.#store, this.#path, frameworkRecord);
    if (read !== undefined) this.#latest = read.value;
    return this.#latest;
  }

  /** Whether a gateway stands for election, of this machine or another. */
  async isLed(): Promise<boolean> {
    const { store, zookeeperPath, cluster } = this.#options;
    return (await store.list(recordPathsOf(zookeeperPath, cluster).leader)).length > 0;
  }

  start(): void {
    if (this.#stop.signal.aborted) return;
    this.#timer = setTimeout(() => void this.#look(), everyMs);
  }

  stop(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    let record: FrameworkRecord | undefined;
    try {
      record = await this.read();
    } catch (error) {
      // ZooKeeper may be away for a while; the next look is due all the same.
      if (!this.#stop.signal.aborted) this.#options.onError(error);
    }
    if (record !== undefined && !this.#stop.signal.aborted) this.#options.onRecord(record);
    this.start();
  }
}

/** Whether the cluster is on its way out: nothing is to be started for it any more. */
export function isEnding(record: FrameworkRecord | undefined): boolean {
  return record !== undefined && record.state !== 'active';
}

/** The exit code and the sentence of a cluster that has ended. */
export function outcomeOf(record: FrameworkRecord): Outcome {
  const status = record.result?.status ?? 'SUCCEEDED';
  const why = record.result?.why ?? 'the framework was torn down';
  return { code: exitCodes[status], why: `cluster ended with ${status}: ${why}` };
}
