import { encodeJson } from '#proto/messages.ts';
import type { Headers } from '../bus/bus.ts';
import { sleep } from '../clock.ts';
import { DreyError, StaleRecordError, type UnreadableRecordError } from '../errors.ts';
import type { Decision, FunctionDefinition } from '../function.ts';
import type { Aside } from './aside.ts';
import { decisionLine } from './decision-log.ts';
import type { Entry } from './mailbox.ts';
import type { RunOptions } from './options.ts';
import { ReadNotes, showRead } from './read-notes.ts';
import { following, traceOf } from './trace.ts';
import { barrier, commit, fits } from './transaction.ts';
import { Unreadable } from './unreadable.ts';

/** Lost races of one batch in a row; then it pauses. */
const quickTries = 20;
const settlePauseMs = 500;
const redeliverMs = 1000;
/** A kept message whose effects break for no reason of the world is set aside after so many deliveries. */
const maxBrokenDeliveries = 3;

/** A decision that stands: under which id, and what was read for it. */
interface Made<Effect> {
  readonly decision: Decision<Effect>;
  readonly op: string;
  readonly read: readonly string[];
}

/** What a decision was stored as, or that the batch is too large for one transaction. */
export type Stored<Effect> =
  | ({ readonly kind: 'stored' } & Made<Effect>)
  | { readonly kind: 'too-large' };

/** The two halves of handling a batch: what may be tried again, and what must happen once. */
export class Deciding<State, Event, Effect> {
  readonly #definition: FunctionDefinition<State, Event, Effect>;
  readonly #options: RunOptions;
  readonly #tellSelf: (events: readonly Event[], trace: string | undefined) => void;
  readonly #notes: ReadNotes;
  readonly #aside: Aside;
  readonly #unreadable: Unreadable;
  #attempts = 0;

  constructor(
    definition: FunctionDefinition<State, Event, Effect>,
    options: RunOptions,
    tellSelf: (events: readonly Event[], trace: string | undefined) => void,
    aside: Aside,
  ) {
    this.#definition = definition;
    this.#options = options;
    this.#tellSelf = tellSelf;
    this.#aside = aside;
    this.#notes = new ReadNotes(options.store);
    this.#unreadable = new Unreadable(options);
  }

  /**
   * Loads, decides and commits until the race is won. Nothing was applied where it throws.
   * @throws StaleRecordError after many lost races; whatever `load` and `decide` throw
   */
  async store(batch: readonly Entry<Event>[]): Promise<Stored<Effect>> {
    const { store, clock, metrics } = this.#options;
    const barrierPath = this.#definition.barrier;
    const events = batch.map((entry) => entry.event);
    let behindBarrier = false;
    for (let tries = 1; ; ) {
      const note = (error: UnreadableRecordError) => this.leaveUndecided(error);
      const read = this.#notes.begin();
      const state = await this.#definition.load(this.#notes.store, events, note);
      const moment = this.#moment();
      const decision = this.#definition.decide(state, events, moment);
      const { writes } = decision;
      if (decision.fromAbsence === true && !behindBarrier) {
        await barrier(store, barrierPath);
        behindBarrier = true;
        continue;
      }
      if (!fits(writes) && batch.length > 1) return { kind: 'too-large' };
      const wait = () => sleep(clock, settlePauseMs);
      const outcome =
        writes.length === 0 ? 'applied' : await commit(store, writes, moment.op, barrierPath, wait);
      if (outcome === 'applied') {
        return { kind: 'stored', decision, op: moment.op, read: showRead(read) };
      }
      metrics?.lost();
      if (tries >= quickTries) throw new StaleRecordError(writes[0]?.path ?? barrierPath);
      tries += 1;
      behindBarrier = false;
    }
  }

  /** The writes stand: effects begun in order and awaited together, the decision log, then the answers. */
  async conclude(batch: readonly Entry<Event>[], made: Made<Effect>): Promise<void> {
    const { decision } = made;
    const { random } = this.#options;
    const headers = following(
      batch.map((entry) => entry.trace),
      random,
    );
    const shown: string[] = [];
    const failures: unknown[] = [];
    // One after the other a hundred acknowledgements would take a hundred round trips.
    const performing = decision.effects.map((effect) => {
      const line = this.#definition.show(effect);
      return { line, done: this.#perform(effect, line, headers) };
    });
    for (const { line, done } of performing) {
      const failure = await done;
      if (failure !== undefined) failures.push(failure.error);
      if (line !== '') shown.push(failure === undefined ? line : `${line} (${failure.why})`);
    }
    this.#tell(batch, made, shown, headers);
    for (const [index, entry] of batch.entries()) {
      if (failures.length === 0) {
        this.answer(entry, decision.answers?.get(index) ?? { status: 'ok' });
        entry.done();
      } else this.#leave(entry, failures);
    }
  }

  /** Tells of a record on which something depends that is left undecided. */
  leaveUndecided(error: UnreadableRecordError): void {
    this.#unreadable.note(error);
  }

  /** Answers who waits; an answer that cannot travel is left out, and asked for again. */
  answer(entry: Entry<Event>, body: unknown): void {
    if (entry.kind !== 'request') return;
    try {
      entry.answer(encodeJson(body));
    } catch (error) {
      if (!(error instanceof DreyError)) throw error;
      this.#options.log.error({ subject: entry.subject, error }, 'an answer cannot be sent');
    }
  }

  #moment() {
    const { clock, random, copy } = this.#options;
    this.#attempts += 1;
    const op = `${this.#definition.name}-${copy}-${this.#attempts}`;
    return { now: clock.now(), op, random: random() };
  }

  /** Performs one effect; a failure stops none of the others: each may be lost by itself anyway. */
  async #perform(
    effect: Effect,
    line: string,
    headers: Headers,
  ): Promise<{ readonly error: unknown; readonly why: string } | undefined> {
    const { log, metrics } = this.#options;
    try {
      this.#tellSelf(await this.#definition.perform(effect, headers), traceOf(headers));
      return undefined;
    } catch (error) {
      metrics?.failed();
      const why = error instanceof Error ? error.message : String(error);
      if (ofTheWorld(error)) log.warn({ effect: line, why }, 'an effect was not performed');
      else log.error({ effect: line, error }, 'an effect broke');
      return { error, why };
    }
  }

  /** Not everything was performed: whoever asked asks again, and the server delivers again. */
  #leave(entry: Entry<Event>, failures: readonly unknown[]): void {
    const hopeless = !failures.some(ofTheWorld) && entry.deliveries >= maxBrokenDeliveries;
    if (entry.kind !== 'stream' || !hopeless) {
      entry.again(redeliverMs);
      return;
    }
    const why = failures.map(String).join('; ');
    this.#aside.put(
      entry.subject,
      `its effects break: ${why}`,
      this.#definition.label(entry.event),
    );
    this.#options.log.error(
      { subject: entry.subject, why },
      'a kept message whose effects break is set aside',
    );
    entry.done();
  }

  #tell(
    batch: readonly Entry<Event>[],
    { decision, op, read }: Made<Effect>,
    effects: readonly string[],
    headers: Headers,
  ): void {
    const { bus, clock, copy, decisionSubject } = this.#options;
    const definition = this.#definition;
    const { writes, reasons } = decision;
    if (effects.length === 0 && writes.length === 0 && reasons.length === 0) return;
    const line = decisionLine({
      at: clock.now(),
      function: definition.name,
      copy,
      op,
      heard: batch.map((entry) => definition.label(entry.event)),
      wrote: decision.writes.filter((write) => write.kind !== 'check').map((write) => write.path),
      effects: [...effects],
      reasons: [...decision.reasons],
      read: [...read],
      trace: traceOf(headers),
    });
    bus.publish(decisionSubject, line, headers);
  }
}

/** Repeating may cure it. */
export function ofTheWorld(error: unknown): boolean {
  return error instanceof DreyError && error.remedy !== 'give-up';
}
