import type { Clock } from '../clock.ts';

/** An event that waits for its decision, and how whoever sent it learns what became of it. */
export interface Entry<Event> {
  readonly event: Event;
  /** `hint`: nobody waits. `request`: the sender asks again. `stream`: the server keeps it. `own`: told by this copy to itself. */
  readonly kind: 'hint' | 'request' | 'stream' | 'own';
  readonly subject: string;
  /** When it came, by the clock's `elapsed`. */
  readonly at: number;
  /** Of the message that it came in. */
  readonly bytes: number;
  /** The trace in which it was sent. */
  readonly trace: string | undefined;
  /** It says nothing any more after so long, ms. */
  readonly freshMs: number;
  /** How often the server has handed it over. */
  readonly deliveries: number;
  /** Decisions that broke on it alone. */
  failures: number;
  answer(body: Uint8Array): void;
  /** It was handled, or set aside for good. */
  done(): void;
  /** It was not handled: the server shall deliver it again. */
  again(delayMs: number): void;
}

/** What waits, in the order in which it came; what this copy told itself goes first. Bounded. */
export class Mailbox<Event> {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #maxBytes: number;
  #entries: Entry<Event>[] = [];
  #bytes = 0;
  #dropped = 0;

  constructor(clock: Clock, limit: number, maxBytes: number) {
    this.#clock = clock;
    this.#limit = limit;
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Events that were not taken for lack of room, or said nothing any more when their turn came. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Beyond the limits a request takes the place of hints, or is left to be asked again; a hint is
   * dropped, for a tick follows it. Of what a server keeps only one comes at a time: it always has room.
   */
  put(entry: Entry<Event>): void {
    while (entry.kind !== 'stream' && !this.#hasRoom(entry)) {
      const hint = entry.kind === 'hint' ? -1 : this.#entries.findIndex((e) => e.kind === 'hint');
      this.#dropped += 1;
      if (hint < 0) return;
      this.#forget(this.#entries.splice(hint, 1));
    }
    this.#entries.push(entry);
    this.#bytes += entry.bytes;
  }

  /** Puts entries before all others, in their order. */
  putFirst(entries: readonly Entry<Event>[]): void {
    this.#entries = [...entries, ...this.#entries];
  }

  /** The next entries that still say something, at most `count`. */
  take(count: number): Entry<Event>[] {
    const taken: Entry<Event>[] = [];
    let looked = 0;
    for (const entry of this.#entries) {
      if (taken.length === count) break;
      looked += 1;
      taken.push(...this.fresh([entry]));
    }
    this.#forget(this.#entries.splice(0, looked));
    return taken;
  }

  /** Those that still say something; the others count as dropped. */
  fresh(entries: readonly Entry<Event>[]): Entry<Event>[] {
    const now = this.#clock.elapsed();
    const left = entries.filter((entry) => now - entry.at <= entry.freshMs);
    this.#dropped += entries.length - left.length;
    return left;
  }

  #hasRoom({ bytes }: Entry<Event>): boolean {
    return this.#entries.length < this.#limit && this.#bytes + bytes <= this.#maxBytes;
  }

  #forget(gone: readonly Entry<Event>[]): void {
    for (const { bytes } of gone) this.#bytes -= bytes;
  }
}
