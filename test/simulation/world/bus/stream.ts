import type { Headers, StreamMessage, StreamOptions } from '#runtime/bus/bus.ts';
import type { Random } from '../random.ts';
import { type BusLink, type BusServer, matches, type Sent } from './server.ts';

interface Kept {
  readonly sequence: number;
  readonly storedAt: string;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: Headers;
}

interface Member {
  readonly link: BusLink;
  readonly handle: (message: StreamMessage) => void;
}

interface Tail {
  readonly link: BusLink;
  readonly filter: string;
  readonly hand: (sent: Sent) => void;
}

interface Consumer {
  readonly maxPending: number;
  readonly ackWaitMs: number;
  readonly members: Member[];
  /** Handed out and not acknowledged: how often, and which delivery's time runs. */
  readonly pending: Map<number, { deliveries: number; turn: number }>;
  /** Waiting to be handed out again. */
  readonly again: number[];
  next: number;
}

/** A stream with limits keeps so many messages. */
const mostKept = 2000;

/** A stream of the simulated JetStream with its durable consumers. */
export class Stream {
  readonly options: StreamOptions;
  readonly #server: BusServer;
  readonly #random: Random;
  readonly #created: string;
  readonly #kept = new Map<number, Kept>();
  readonly #consumers = new Map<string, Consumer>();
  #tails: readonly Tail[] = [];
  #last = 0;

  constructor(server: BusServer, options: StreamOptions) {
    this.#server = server;
    this.options = options;
    this.#random = server.world.random.fork(`stream-${options.name}`);
    this.#created = new Date(server.world.time.now()).toISOString();
  }

  listensOn(subject: string): boolean {
    return this.options.subjects.some((pattern) => matches(pattern, subject));
  }

  store(sent: Sent): number {
    this.#last += 1;
    const { subject, data, headers } = sent;
    const storedAt = String(Math.round(this.#server.world.time.now() * 1_000_000));
    this.#kept.set(this.#last, { sequence: this.#last, storedAt, subject, data, headers });
    if (this.options.retention === 'limits') this.#kept.delete(this.#last - mostKept);
    for (const tail of this.#tails) {
      if (matches(tail.filter, subject)) tail.link.hand(() => tail.hand(sent));
    }
    for (const consumer of this.#consumers.values()) this.#dispatch(consumer);
    return this.#last;
  }

  /** The newest messages vanish as if they had never come: their numbers are given out again. */
  loseTail(most: number): number {
    const lost = Math.min(most, this.#last);
    for (let n = 0; n < lost; n += 1) {
      this.#kept.delete(this.#last);
      for (const { pending } of this.#consumers.values()) pending.delete(this.#last);
      this.#last -= 1;
    }
    for (const consumer of this.#consumers.values()) {
      consumer.next = Math.min(consumer.next, this.#last + 1);
    }
    return lost;
  }

  get last(): number {
    return this.#last;
  }

  tail(tail: Tail, count: number): void {
    const fitting = [...this.#kept.values()].filter((kept) => matches(tail.filter, kept.subject));
    for (const kept of count === 0 ? [] : fitting.slice(-count)) {
      tail.link.hand(() => tail.hand(kept));
    }
    this.#tails = [...this.#tails, tail];
  }

  join(
    durable: string,
    options: { readonly maxPending: number; readonly ackWaitMs: number },
    member: Member,
  ): () => void {
    const consumer: Consumer = this.#consumers.get(durable) ?? {
      ...options,
      members: [],
      pending: new Map(),
      again: [],
      next: 1,
    };
    this.#consumers.set(durable, consumer);
    consumer.members.push(member);
    this.#dispatch(consumer);
    return () => this.#leave(consumer, member);
  }

  forget(link: BusLink): void {
    this.#tails = this.#tails.filter((tail) => tail.link !== link);
    for (const consumer of this.#consumers.values()) {
      for (const member of consumer.members.filter((one) => one.link === link)) {
        this.#leave(consumer, member);
      }
    }
  }

  #leave(consumer: Consumer, member: Member): void {
    const index = consumer.members.indexOf(member);
    if (index >= 0) consumer.members.splice(index, 1);
  }

  #dispatch(consumer: Consumer): void {
    while (consumer.members.length > 0) {
      const sequence = this.#choose(consumer);
      const kept = sequence === undefined ? undefined : this.#kept.get(sequence);
      if (kept === undefined) return;
      this.#deliver(consumer, kept);
    }
  }

  #choose(consumer: Consumer): number | undefined {
    for (let again = consumer.again.shift(); again !== undefined; again = consumer.again.shift()) {
      if (consumer.pending.has(again) && this.#kept.has(again)) return again;
    }
    while (consumer.next <= this.#last && !this.#kept.has(consumer.next)) consumer.next += 1;
    if (consumer.next > this.#last || consumer.pending.size >= consumer.maxPending)
      return undefined;
    consumer.next += 1;
    return consumer.next - 1;
  }

  #deliver(consumer: Consumer, kept: Kept): void {
    const { sequence } = kept;
    const deliveries = (consumer.pending.get(sequence)?.deliveries ?? 0) + 1;
    const pending = { deliveries, turn: deliveries };
    consumer.pending.set(sequence, pending);
    const member = this.#random.pick(consumer.members);
    const { link } = member;
    const message: StreamMessage = {
      ...kept,
      streamCreated: this.#created,
      deliveries,
      ack: () => link.send(() => this.#acked(consumer, sequence)),
      nak: (delayMs) => link.send(() => this.#repeat(consumer, sequence, deliveries, delayMs)),
    };
    if (!this.#random.chance(this.#server.weather.lossChance)) {
      link.hand(() => member.handle(message));
    }
    this.#repeat(consumer, sequence, deliveries, consumer.ackWaitMs);
  }

  #repeat(consumer: Consumer, sequence: number, turn: number, delayMs: number): void {
    this.#server.world.time.after(delayMs, () => {
      if (consumer.pending.get(sequence)?.turn !== turn) return;
      consumer.again.push(sequence);
      this.#dispatch(consumer);
    });
  }

  #acked(consumer: Consumer, sequence: number): void {
    if (this.#random.chance(this.#server.weather.lossChance)) return;
    consumer.pending.delete(sequence);
    if (this.options.retention === 'workqueue') this.#kept.delete(sequence);
    this.#dispatch(consumer);
  }
}
