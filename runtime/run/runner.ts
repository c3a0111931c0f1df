import type { Bus, BusMessage, StreamMessage, Subscription } from '../bus/bus.ts';
import { type Clock, sleep } from '../clock.ts';
import { DreyError } from '../errors.ts';
import type { Decision, FunctionDefinition, Hears } from '../function.ts';
import type { Log } from '../log.ts';
import type { Store } from '../store/store.ts';
import { type Entry, Mailbox } from './mailbox.ts';
import { barrier, commit, fits } from './transaction.ts';

/** What a function is run with; only interfaces, so that a simulation can own all of it. */
export interface RunOptions {
  readonly store: Store;
  readonly bus: Bus;
  readonly clock: Clock;
  /** In [0, 1). */
  random(): number;
  /** Names this copy among all copies of the function. */
  readonly copy: string;
  readonly log: Log;
  /** Where the decision log goes. */
  readonly decisionSubject: string;
  readonly metrics?: RunMetrics;
}

/** What the runner counts. */
export interface RunMetrics {
  handled(events: number, tookMs: number): void;
  lost(): void;
  setAside(): void;
  failed(): void;
}

export interface Running {
  /** Takes nothing new, finishes what it has, then resolves. */
  stop(): Promise<void>;
  /** Nothing waits and nothing is being decided. */
  idle(): boolean;
  /** Events that were dropped for lack of room or freshness. */
  dropped(): number;
}

const batchSize = 100;
const mailboxLimit = 10_000;
/** Lost races of one batch before it pauses. */
const quickTries = 20;
const firstPauseMs = 50;
const longestPauseMs = 2000;
/** Whoever sent a hint or a request has sent another one by then. */
const requestFreshMs = 15_000;
const hintFreshMs = 10_000;
/** An event that breaks a decision by itself is set aside after so many tries. */
const triesAlone = 3;
const redeliverMs = 1000;

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
  #subscriptions: Subscription[] = [];
  #working: Promise<void> | undefined;
  #writes = 0;

  constructor(definition: FunctionDefinition<State, Event, Effect>, options: RunOptions) {
    this.#definition = definition;
    this.#options = options;
    this.#mailbox = new Mailbox(options.clock, mailboxLimit);
  }

  async start(): Promise<void> {
    for (const hears of this.#definition.hears) {
      this.#subscriptions.push(await this.#hear(hears));
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#subscriptions.map((subscription) => subscription.drain()));
    this.#subscriptions = [];
    while (!this.idle()) await this.#working;
  }

  idle(): boolean {
    return this.#working === undefined && this.#mailbox.size === 0;
  }

  dropped(): number {
    return this.#mailbox.dropped;
  }

  async #hear(hears: Hears<Event>): Promise<Subscription> {
    const { bus } = this.#options;
    const { name } = this.#definition;
    if (hears.transport === 'stream') {
      const how = { maxPending: 1, ackWaitMs: 30_000 };
      return bus.consume(hears.stream, hears.durable, how, (message) => {
        const id = `${message.streamCreated.replace(/[^A-Za-z0-9]/g, '')}-${message.sequence}`;
        this.#take(message, 'stream', () => hears.parse({ ...message, id }), message);
      });
    }
    const kind = hears.transport === 'request' ? 'request' : 'hint';
    return bus.subscribe(hears.subject, name, (message) => {
      this.#take(message, kind, () => hears.parse(message));
    });
  }

  #take(
    message: BusMessage,
    kind: Entry<Event>['kind'],
    parse: () => Event,
    stream?: StreamMessage,
  ): void {
    const { bus, clock, log, metrics } = this.#options;
    const { reply, subject } = message;
    const answer = (body: Uint8Array): void => {
      if (reply !== undefined && stream === undefined) bus.publish(reply, body);
    };
    let event: Event;
    try {
      event = parse();
    } catch (error) {
      metrics?.setAside();
      log.warn({ subject, error: textOf(error) }, 'a message that cannot be read is set aside');
      answer(encode({ status: 'refused', message: textOf(error) }));
      stream?.ack();
      return;
    }
    const freshMs = { hint: hintFreshMs, request: requestFreshMs, stream: Infinity, own: Infinity };
    this.#mailbox.put({
      event,
      kind,
      subject,
      at: clock.now(),
      freshMs: freshMs[kind],
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
    for (;;) {
      const batch = this.#mailbox.take(batchSize);
      if (batch.length === 0) return;
      await this.#handle(batch);
    }
  }

  /** Nothing that one batch brings ends the process or holds up what comes after it for ever. */
  async #handle(batch: readonly Entry<Event>[]): Promise<void> {
    const { clock, log, metrics } = this.#options;
    let pauseMs = firstPauseMs;
    let left = batch;
    while (left.length > 0) {
      try {
        await this.#decide(left);
        return;
      } catch (error) {
        metrics?.failed();
        if (!(error instanceof DreyError && error.remedy !== 'give-up')) {
          await this.#isolate(left, error);
          return;
        }
        log.warn({ error: textOf(error) }, 'the decision waits and is taken again');
        await sleep(clock, pauseMs);
        pauseMs = Math.min(longestPauseMs, pauseMs * 2);
        left = left.filter((entry) => clock.now() - entry.at <= entry.freshMs);
      }
    }
  }

  /** A decision broke: each event alone, and the one that breaks it again and again is set aside. */
  async #isolate(batch: readonly Entry<Event>[], error: unknown): Promise<void> {
    const { log, metrics, clock } = this.#options;
    const [only, ...others] = batch;
    if (only === undefined) return;
    if (others.length > 0) {
      for (const entry of batch) await this.#handle([entry]);
      return;
    }
    only.failures += 1;
    const event = this.#definition.label(only.event);
    if (only.failures < triesAlone) {
      await sleep(clock, firstPauseMs);
      await this.#handle([only]);
      return;
    }
    metrics?.setAside();
    log.error({ subject: only.subject, event, error }, 'an event that breaks is set aside');
    only.answer(encode({ status: 'refused', message: textOf(error) }));
    only.done();
  }

  async #decide(batch: readonly Entry<Event>[]): Promise<void> {
    const { store, clock, random, copy, metrics } = this.#options;
    const { name, load, decide, barrier: barrierPath } = this.#definition;
    const events = batch.map((entry) => entry.event);
    const began = clock.now();
    let behindBarrier = false;
    let pauseMs = firstPauseMs;
    for (let tries = 1; ; tries += 1) {
      const state = await load(store, events);
      this.#writes += 1;
      const moment = { now: clock.now(), op: `${name}-${copy}-${this.#writes}`, random: random() };
      const decision = decide(state, events, moment);
      if (decision.fromAbsence === true && !behindBarrier) {
        await barrier(store, barrierPath);
        behindBarrier = true;
        continue;
      }
      if (!fits(decision.writes) && batch.length > 1) {
        const half = Math.ceil(batch.length / 2);
        await this.#handle(batch.slice(0, half));
        await this.#handle(batch.slice(half));
        return;
      }
      const outcome =
        decision.writes.length === 0
          ? 'applied'
          : await commit(store, decision.writes, moment.op, barrierPath);
      if (outcome === 'applied') {
        await this.#conclude(batch, decision, moment.op);
        metrics?.handled(batch.length, clock.now() - began);
        return;
      }
      metrics?.lost();
      behindBarrier = false;
      if (tries % quickTries === 0) {
        await sleep(clock, pauseMs);
        pauseMs = Math.min(longestPauseMs, pauseMs * 2);
      }
    }
  }

  /** The writes stand: effects in order, then the answers. What could not be performed is asked for again by whoever asked. */
  async #conclude(
    batch: readonly Entry<Event>[],
    decision: Decision<Effect>,
    op: string,
  ): Promise<void> {
    const { log, metrics } = this.#options;
    let failure: unknown;
    for (const effect of decision.effects) {
      try {
        this.#tellSelf(await this.#definition.perform(effect));
      } catch (error) {
        metrics?.failed();
        const shown = this.#definition.show(effect);
        log.warn({ effect: shown, error: textOf(error) }, 'an effect was not performed');
        failure ??= error;
      }
    }
    this.#log(batch, decision, op);
    for (const [index, entry] of batch.entries()) {
      if (failure === undefined) {
        const answer = decision.answers?.get(index) ?? { status: 'ok' };
        if (entry.kind === 'request') entry.answer(encode(answer));
        entry.done();
      } else {
        entry.again(redeliverMs);
      }
    }
  }

  #tellSelf(events: readonly Event[]): void {
    if (events.length === 0) return;
    const at = this.#options.clock.now();
    const nothing = (): void => {};
    this.#mailbox.putFirst(
      events.map((event) => ({
        event,
        kind: 'own',
        subject: 'own',
        at,
        freshMs: Infinity,
        failures: 0,
        answer: nothing,
        done: nothing,
        again: nothing,
      })),
    );
  }

  #log(batch: readonly Entry<Event>[], decision: Decision<Effect>, op: string): void {
    const { bus, clock, copy, decisionSubject } = this.#options;
    const { name, label, show } = this.#definition;
    const effects = decision.effects.map(show).filter((line) => line !== '');
    if (effects.length === 0 && decision.writes.length === 0) return;
    const line = {
      at: clock.now(),
      function: name,
      copy,
      op,
      heard: batch.map((entry) => label(entry.event)),
      wrote: decision.writes.filter((write) => write.kind !== 'check').map((write) => write.path),
      effects,
      reasons: decision.reasons,
    };
    bus.publish(decisionSubject, encode(line));
  }
}

function encode(body: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(body));
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
