import {
  type FrameworkRecord,
  frameworkRecord,
  recordPathsOf,
  workerRecord,
} from '#proto/records.ts';
import { systemClock } from '#runtime/clock.ts';
import { readRecord } from '#runtime/store/records.ts';
import type { Store } from '#runtime/store/store.ts';
import { connectStore } from '#runtime/store/zookeeper.ts';
import type { StackFacts } from './run-folder.ts';

const everyMs = 200;

/** Reads drey's records of a running stack. */
export class StackRecords {
  readonly #store: Store;
  readonly #facts: StackFacts;
  readonly #seen = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;

  private constructor(store: Store, facts: StackFacts) {
    this.#store = store;
    this.#facts = facts;
  }

  static async open(facts: StackFacts): Promise<StackRecords> {
    const store = await connectStore({
      servers: facts.zookeeper,
      sessionTimeoutMs: 10_000,
      connectTimeoutMs: 10_000,
      clock: systemClock,
    });
    return new StackRecords(store, facts);
  }

  async framework(): Promise<FrameworkRecord | undefined> {
    const read = await readRecord(this.#store, this.#paths.framework, frameworkRecord);
    return read?.value;
  }

  /** Says each change of each worker until `close`. */
  follow(say: (line: string) => void): void {
    const look = async (): Promise<void> => {
      // A read that fails is made again at the next look: this only shows what happens.
      await this.#sayChanges(say).catch(() => undefined);
      if (this.#timer !== undefined) this.#timer = setTimeout(look, everyMs);
    };
    this.#timer = setTimeout(look, 0);
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#store.close();
  }

  get #paths() {
    return recordPathsOf('/drey', this.#facts.cluster);
  }

  async #sayChanges(say: (line: string) => void): Promise<void> {
    for (const id of await this.#store.list(this.#paths.workers)) {
      const read = await readRecord(this.#store, this.#paths.worker(id), workerRecord);
      if (read === undefined || this.#seen.get(id) === read.value.state) continue;
      const worker = read.value;
      this.#seen.set(id, worker.state);
      const where = worker.hostname === undefined ? '' : ` on ${worker.hostname}`;
      say(`${id} ${worker.state}${where}: ${worker.why}`);
    }
  }
}
