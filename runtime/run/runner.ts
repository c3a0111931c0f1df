import { encodeJson } from '#proto/messages.ts';
import type { BusMessage, StreamMessage, Subscription } from '../bus/bus.ts';
import { sleep } from '../clock.ts';
import { BadMessageError, StaleRecordError, UnreadableRecordError } from '../errors.ts';
import type { FunctionDefinition, Hears } from '../function.ts';
import { Aside } from './aside.ts';
import { Deciding, ofTheWorld, type Stored } from './deciding.ts';
import { Lateness } from './lateness.ts';
import { type Entry, Mailbox } from './mailbox.ts';
import type { RunOptions } from './options.ts';
import { traceOf } from './trace.ts';

export interface Running {
  /** Takes nothing new, finishes what it has, then resolves. */
  stop(): Promise<void>;
  /** Nothing waits and nothing is being decided. */
  idle(): boolean;
  /** Events that were dropped for lack of room or freshness. */
  dropped(): number;
}

/** Events of one decision: enough to share a transaction, few enough for its limits. */
const batchSize = 100;
const mailboxLimit = 10_000;
const mailboxBytes = 64 * 1024 * 1024;
/** What a server takes by default; one that takes more lets nobody fill the memory. */
const maxMessageBytes = 1024 * 1024;
const firstPauseMs = 50;
const longestPauseMs = 2000;
/** Whoever sent a request has sent another one by then, and a hint is followed by a tick. */
const freshMs = { hint: 10_000, request: 15_000, stream: Infinity, own: Infinity };
/** What tells of a moment tells nothing of the present after so long. */
const momentMs = 2000;
/** Rounds of lost races; then each event goes its own way. */
const crowdedRounds = 3;
/** An event that breaks a decision by itself is set aside after so many tries. */
const triesAlone = 3;
const redeliverMs = 1000;
const commandWaitMs = 30_000;
/** A full mailbox, and again as many for what its decisions tell this copy itself. */
const batchesAfterStop = (2 * mailboxLimit) / batchSize;

/** Runs a function until it is stopped: hear, load, decide, commit, perform, answer. */
export async function runFunction<State, Event, Effect>(
  definition: FunctionDefinition<State, Event, Effect>,
  options: RunOptions,
): Promise<Running> {
  const runner = new Runner(definition, options);
  await runner.start();
  return runner;
}

class Runner<State, Event, Effect> implements Running {
  readonly #definition: FunctionDefinition<State, Event, Effect>;
  readonly #options: RunOptions;
  readonly #mailbox: Mailbox<Event>;
  readonly #deciding: Deciding<State, Event, Effect>;
  readonly #aside: Aside;
  readonly #subscriptions: Subscription[] = [];
  #working: Promise<void> | undefined;
  #stopping = false;

  constructor(definition: FunctionDefinition<State, Event, Effect>, options: RunOptions) {
    this.#definition = definition;
    this.#options = options;
    this.#mailbox = new Mailbox(options.clock, mailboxLimit, mailboxBytes);
    this.#aside = new Aside(definition.name, options);
    const tellSelf = (events: readonly Event[], trace: string | undefined) =>
      this.#tellSelf(events, trace);
    this.#deciding = new Deciding(definition, options, tellSelf, this.#aside);
  }

  async start(): Promise<void> {
    try {
      for (const hears of this.#definition.hears) {
        this.#subscriptions.push(await this.#hear(hears));
      }
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    const subscriptions = this.#subscriptions.splice(0);
    await Promise.all(subscriptions.map((subscription) => subscription.drain()));
    this.#stopping = true;
    while (this.#working !== undefined) await this.#working;
    this.#aside.close();
  }

  idle(): boolean {
    return this.#working === undefined && this.#mailbox.size === 0;
  }

  dropped(): number {
    return this.#mailbox.dropped;
  }

  async #hear(hears: Hears<Event>): Promise<Subscription> {
    const { bus, clock } = this.#options;
    if (hears.transport === 'stream') {
      const how = { maxPending: 1, ackWaitMs: commandWaitMs };
      return bus.consume(hears.stream, hears.durable, how, (message) => {
        // A name for ever: the stream's time of birth without what a path may not hold. The number
        // alone may come again, from a server that died before it had flushed.
        const created = message.streamCreated.replace(/[^A-Za-z0-9]/g, '');
        const id = `${created}-${message.sequence}-${message.storedAt}`;
        this.#take(message, 'stream', () => hears.parse({ ...message, id }), { stream: message });
      });
    }
    if (hears.transport === 'request') {
      return bus.subscribe(hears.subject, this.#definition.name, (message) => {
        this.#take(message, 'request', () => hears.parse(message));
      });
    }
    const lateness = new Lateness((was, now) => {
      const facts = { subject: hears.subject, was, now };
      this.#options.log.warn(facts, 'only a lower epoch was heard for 10 s: it counts from now on');
    });
    return bus.subscribe(hears.subject, this.#definition.name, (message) => {
      this.#take(message, 'hint', () => hears.parse(message), {
        freshMs: (event) => {
          const said = hears.said?.(event);
          return said && momentMs - lateness.of(said, clock.elapsed());
        },
      });
    });
  }

  #take(
    message: BusMessage,
    kind: 'hint' | 'request' | 'stream',
    parse: () => Event,
    how: {
      readonly stream?: StreamMessage;
      /** Where an event itself says how long it will say something. */
      readonly freshMs?: (event: Event) => number | undefined;
    } = {},
  ): void {
    const { stream } = how;
    const { bus, clock, log } = this.#options;
    const { reply, subject, data } = message;
    const answer = (body: Uint8Array): void => {
      if (reply !== undefined) bus.publish(reply, body);
    };
    let event: Event;
    try {
      if (data.byteLength > maxMessageBytes) throw tooLarge(message);
      event = parse();
    } catch (error) {
      const why = textOf(error);
      this.#aside.put(subject, why);
      log.warn({ subject, why }, 'a message that cannot be read is set aside');
      if (kind === 'request')
        answer(encodeJson({ status: 'refused', message: why.slice(0, 4000) }));
      stream?.ack();
      return;
    }
    this.#mailbox.put({
      event,
      kind,
      subject,
      at: clock.elapsed(),
      bytes: data.byteLength,
      freshMs: how.freshMs?.(event) ?? freshMs[kind],
      trace: traceOf(message.headers),
      deliveries: stream?.deliveries ?? 1,
      failures: 0,
      answer,
      done: () => stream?.ack(),
      again: (delayMs) => stream?.nak(delayMs),
    });
    this.#wake();
  }

  #wake(): void {
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
      if (this.#mailbox.size > 0) this.#wake();
    });
  }

  async #work(): Promise<void> {
    // A turn later, so that what arrives together is decided together.
    await Promise.resolve();
    let afterStop = 0;
    for (;;) {
      const batch = this.#mailbox.take(batchSize);
      if (batch.length === 0) return;
      if (this.#stopping) afterStop += 1;
      if (afterStop > batchesAfterStop) this.#release(batch);
      else await this.#handle(batch);
    }
  }

  /** Nothing that one batch brings ends the process or holds up what comes after it for ever. */
  async #handle(batch: readonly Entry<Event>[]): Promise<void> {
    const { clock, log, metrics } = this.#options;
    let pauseMs = firstPauseMs;
    let crowded = 0;
    for (let left = batch; left.length > 0; left = this.#mailbox.fresh(left)) {
      const began = clock.elapsed();
      let stored: Stored<Effect>;
      try {
        stored = await this.#deciding.store(left);
      } catch (error) {
        metrics?.failed();
        if (error instanceof StaleRecordError) crowded += 1;
        if (!ofTheWorld(error) || crowded >= crowdedRounds) return this.#isolate(left, error);
        if (this.#stopping) return this.#release(left);
        log.warn({ why: textOf(error) }, 'a decision waits and is taken again');
        await sleep(clock, pauseMs);
        pauseMs = Math.min(longestPauseMs, pauseMs * 2);
        continue;
      }
      if (stored.kind === 'too-large') return this.#halve(left);
      await this.#deciding.conclude(left, stored);
      metrics?.handled(left.length, clock.elapsed() - began);
      return;
    }
  }

  /** A decision broke: halves, until the event that breaks it stands alone and is set aside. */
  async #isolate(batch: readonly Entry<Event>[], error: unknown): Promise<void> {
    const { log, clock } = this.#options;
    const [only, ...others] = batch;
    if (only === undefined) return;
    if (others.length > 0) return this.#halve(batch);
    const what = this.#definition.label(only.event);
    const facts = { subject: only.subject, event: what, error };
    if (error instanceof UnreadableRecordError) {
      // Not the event's fault: it is served once a person, or a newer version, has mended the record.
      this.#deciding.leaveUndecided(error);
      return this.#release([only]);
    }
    only.failures += 1;
    if (only.failures < triesAlone) {
      // Waiting cures races alone; behind hundreds of broken events all that waits would grow stale.
      if (ofTheWorld(error)) await sleep(clock, firstPauseMs);
      return this.#handle([only]);
    }
    if (ofTheWorld(error)) {
      log.warn(facts, 'an event loses every race and is left for later');
      return this.#release([only]);
    }
    this.#aside.put(only.subject, textOf(error), what);
    log.error(facts, 'an event that breaks every decision is set aside');
    this.#deciding.answer(only, { status: 'refused', message: textOf(error) });
    only.done();
  }

  async #halve(batch: readonly Entry<Event>[]): Promise<void> {
    const half = Math.ceil(batch.length / 2);
    await this.#handle(batch.slice(0, half));
    await this.#handle(batch.slice(half));
  }

  /** Left for another copy or a later time: requests are asked again, kept messages delivered again. */
  #release(batch: readonly Entry<Event>[]): void {
    for (const entry of batch) entry.again(redeliverMs);
  }

  #tellSelf(events: readonly Event[], trace: string | undefined): void {
    if (events.length === 0) return;
    const at = this.#options.clock.elapsed();
    const nothing = (): void => {};
    const own = {
      kind: 'own',
      subject: 'own',
      at,
      bytes: 0,
      trace,
      freshMs: freshMs.own,
      deliveries: 1,
    } as const;
    const ways = { answer: nothing, done: nothing, again: nothing };
    this.#mailbox.putFirst(events.map((event) => ({ ...own, ...ways, event, failures: 0 })));
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function tooLarge({ subject, data }: BusMessage): BadMessageError {
  return new BadMessageError(`${subject}: ${data.byteLength} bytes, at most ${maxMessageBytes}`);
}
