import { type FrameworkRecord, frameworkRecord } from '#proto/records.ts';
import { sleep } from '#runtime/clock.ts';
import { StaleRecordError, StoreOutcomeUnknownError } from '#runtime/errors.ts';
import { checkOf, createOf, replaceOf, type Versioned } from '#runtime/store/ops.ts';
import { readRecord } from '#runtime/store/records.ts';
import { type GatewaySurroundings, randomHex, randomUuid } from './surroundings.ts';

/** A lagging server is given this long before it is read again. */
const lagMs = 50;

type Part = Pick<GatewaySurroundings, 'store' | 'clock' | 'random' | 'paths' | 'id'>;

/** The framework's record, changed by compare-and-set alone. */
export class FrameworkBook {
  readonly #part: Part;

  constructor(part: Part) {
    this.#part = part;
  }

  /** May be stale. @throws StoreUnavailableError, UnreadableRecordError */
  read(): Promise<Versioned<FrameworkRecord> | undefined> {
    return readRecord(this.#part.store, this.#part.paths.framework, frameworkRecord);
  }

  /** As all servers agree that it stands. @throws StoreUnavailableError, UnreadableRecordError */
  async readFresh(): Promise<FrameworkRecord | undefined> {
    for (;;) {
      const at = await this.read();
      if (at === undefined) return undefined;
      try {
        await this.#part.store.commit([checkOf(at)]);
        return at.value;
      } catch (error) {
        if (!isRace(error)) throw error;
        await sleep(this.#part.clock, lagMs);
      }
    }
  }

  /**
   * Replaces the record by what `next` makes of it, until that was stored; undefined leaves it as it
   * is. Resolves to the record that stands after it.
   * @throws StoreUnavailableError, UnreadableRecordError
   */
  async change(
    next: (record: FrameworkRecord | undefined) => Omit<FrameworkRecord, 'op'> | undefined,
  ): Promise<FrameworkRecord | undefined> {
    const { store, clock, paths, random, id } = this.#part;
    const tried = new Set<string>();
    for (;;) {
      const at = await this.read();
      if (at !== undefined && tried.has(at.value.op)) return at.value;
      const wanted = next(at?.value);
      if (wanted === undefined) return at?.value;
      const op = `${id}-${randomHex(random, 8)}`;
      const record = { ...wanted, op } as FrameworkRecord;
      tried.add(op);
      try {
        const write = at === undefined ? createOf(paths.framework, record) : replaceOf(at, record);
        await store.commit([write]);
        return record;
      } catch (error) {
        if (!isRace(error)) throw error;
        await sleep(clock, lagMs);
      }
    }
  }

  /** The record of a cluster that begins: its first, or the next one after it had ended. */
  begin(former: FrameworkRecord | undefined): Omit<FrameworkRecord, 'op'> {
    const { random, id } = this.#part;
    const { result: _result, held: _held, ...kept } = former ?? {};
    return {
      ...kept,
      v: 1,
      id: `drey-${randomUuid(random)}`,
      epoch: former?.epoch ?? 0,
      firstEpoch: (former?.epoch ?? 0) + 1,
      gateway: id,
      state: 'active',
      fenced: former?.fenced ?? [],
    };
  }

  /** The same cluster under a new id, because Mesos has removed the former. */
  replaceId(record: FrameworkRecord): Omit<FrameworkRecord, 'op'> {
    return {
      ...record,
      id: `drey-${randomUuid(this.#part.random)}`,
      firstEpoch: record.epoch + 1,
      fenced: [...record.fenced, record.id],
    };
  }
}

/** Lost a race, or not known whether it was won: either way reading again tells. */
function isRace(error: unknown): boolean {
  return error instanceof StaleRecordError || error instanceof StoreOutcomeUnknownError;
}
