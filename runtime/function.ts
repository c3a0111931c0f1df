import type { BusMessage, Endpoint, Headers } from './bus/bus.ts';
import type { Said } from './run/lateness.ts';
import type { NoteUnreadable } from './store/records.ts';
import type { Store, StoreOp } from './store/store.ts';

/** How a message reaches a function, and how it becomes an event. All copies share one queue group. */
export type Hears<Event> =
  /** A hint or a stream of facts; nobody waits for an answer. */
  | {
      readonly transport: 'queue';
      readonly subject: string;
      parse(message: BusMessage): Event;
      /** When it was said, for what says nothing any more 2 s later, or once a newer term has begun. */
      said?(event: Event): Said | undefined;
    }
  /** The sender waits; it is answered once the decision is stored and performed, or not at all (it asks again). */
  | { readonly transport: 'request'; readonly subject: string; parse(message: BusMessage): Event }
  /** Kept by the server until it is applied; one at a time over all copies. */
  | {
      readonly transport: 'stream';
      readonly stream: string;
      readonly durable: string;
      parse(message: BusMessage & { readonly id: string }): Event;
    };

/** Why something was decided about something. */
export interface Reason {
  readonly about: string;
  readonly why: string;
}

/** What a decision comes to: writes first (one transaction), then effects, begun in order and not waiting for each other. */
export interface Decision<Effect> {
  readonly writes: readonly StoreOp[];
  readonly effects: readonly Effect[];
  readonly reasons: readonly Reason[];
  /** The answer to each heard event by its position; an event without one is answered `{"status":"ok"}`. */
  readonly answers?: ReadonlyMap<number, unknown>;
  /**
   * The decision follows from something not being there. Reads may be stale, so the runner first
   * commits a check-only transaction in the same session, loads again and decides again.
   */
  readonly fromAbsence?: boolean;
}

/** What a decision may know besides records and events. */
export interface Moment {
  /** ms since 1970. */
  readonly now: number;
  /** The id of this write, new for each attempt; records carry it as `op`. */
  readonly op: string;
  /** In [0, 1). */
  readonly random: number;
}

/** A function: what it hears, what it loads, the pure decision, and how effects are performed. */
export interface FunctionDefinition<State, Event, Effect> {
  readonly name: string;
  readonly description: string;
  readonly hears: readonly Hears<Event>[];
  /** Short name of an event for the decision log. */
  label(event: Event): string;
  /** Short line of an effect for the decision log; an empty one is left out. */
  show(effect: Effect): string;
  /**
   * Reads what the events need. Called again after a lost race. An event that needs a record which
   * cannot be read is left undecided (throw the error: it is asked again or delivered again, never
   * set aside); a record that was only found in a list is noted and left out.
   */
  load(store: Store, events: readonly Event[], note: NoteUnreadable): Promise<State>;
  decide(state: State, events: readonly Event[], moment: Moment): Decision<Effect>;
  /**
   * Performs one effect; what comes back is heard next by this same copy (it may be lost: a tick must
   * cure that). `headers` go with every message: they carry the trace of what was heard.
   */
  perform(effect: Effect, headers: Headers): Promise<readonly Event[]>;
  /** The path that a read barrier checks. */
  readonly barrier: string;
  /** Questions that its micro service answers, besides what it hears. */
  readonly endpoints?: readonly Endpoint[];
}
