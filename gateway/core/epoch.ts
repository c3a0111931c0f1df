import { decodeEvent } from '#proto/mesos/codec.ts';
import { CodecError } from '#proto/mesos/codec-error.ts';
import type { SchedulerEvent } from '#proto/mesos/types.ts';
import { encodeJson } from '#proto/messages.ts';
import { header } from '#proto/subjects.ts';
import type { Headers, Subscription } from '#runtime/bus/bus.ts';
import { chunkOffers } from '../mesos/chunks.ts';
import type { Stream, StreamListener } from '../mesos/mesos.ts';
import { CallDesk } from './calls.ts';
import { EventRequests } from './event-requests.ts';
import { type GatewaySurroundings, randomHex } from './surroundings.ts';

/** Far below the largest message of NATS (1 MiB). */
const chunkBytes = 256 * 1024;
/** Ids of offers in one message. */
const lapsedAtOnce = 1000;
/** What Mesos announces; used until it has. */
const usualHeartbeatMs = 15_000;
/** So many heartbeats may fail to come. */
const patience = 3;
/** What may wait while the subscription is being stored. */
const mostWaiting = 10_000;

/** How a subscription ended. */
export type EpochEnd =
  | { readonly kind: 'closed'; readonly error?: Error | undefined }
  /** ERROR: the master says why it ends the stream. */
  | { readonly kind: 'error'; readonly message: string }
  /** No heartbeat came. */
  | { readonly kind: 'silent' }
  /** No stream came of SUBSCRIBE. */
  | { readonly kind: 'unsubscribed'; readonly error: Error }
  /** Ended from our side. */
  | { readonly kind: 'left' };

export interface EpochOptions {
  readonly number: number;
  readonly frameworkId: string;
  /** Whether SUBSCRIBE suppresses all roles. */
  readonly suppressed: boolean;
  /** Stores what SUBSCRIBED says before any event goes on; false: another gateway leads. */
  readonly store: (event: SchedulerEvent) => Promise<boolean>;
  /** Asks the lease, each time. */
  readonly leads: () => boolean;
}

/** One subscription: its events out, its calls in. Nothing of it outlives its end. */
export class Epoch implements StreamListener {
  readonly number: number;
  readonly calls: CallDesk;
  readonly requests: EventRequests;
  /** Resolves once. */
  readonly ended: Promise<EpochEnd>;
  readonly #part: GatewaySurroundings;
  readonly #options: EpochOptions;
  readonly #end: (end: EpochEnd) => void;
  readonly #subscription: Subscription;
  #stream: Stream | undefined;
  #over = false;
  /** `waiting`: events are kept back until the stream stands and SUBSCRIBED is stored. */
  #stage: 'waiting' | 'storing' | 'flowing' = 'waiting';
  readonly #waiting: Uint8Array[] = [];
  /** The stream has ended while events were kept back. */
  #closing: EpochEnd | undefined;
  #sequence = 0;
  #heartbeatMs = usualHeartbeatMs;
  #heardAt: number;

  constructor(part: GatewaySurroundings, options: EpochOptions) {
    this.#part = part;
    this.#options = options;
    this.number = options.number;
    const { frameworkId, suppressed } = options;
    const onLapsed = (offers: readonly string[]) => this.#onLapsed(offers);
    this.calls = new CallDesk(part, { frameworkId, suppressed, onLapsed });
    this.requests = new EventRequests(part);
    this.#heardAt = part.clock.elapsed();
    const { promise, resolve } = Promise.withResolvers<EpochEnd>();
    this.ended = promise;
    this.#end = resolve;
    const subject = part.subjects.everyCall(options.number);
    this.#subscription = part.bus.subscribe(subject, undefined, (message) =>
      this.calls.handle(message),
    );
  }

  /** SUBSCRIBED was heard and stored. */
  get subscribed(): boolean {
    return this.#stage === 'flowing' && !this.#over;
  }

  get wanted(): boolean {
    return !this.#over && this.#options.leads();
  }

  /** SUBSCRIBE was answered with a stream. */
  opened(stream: Stream): void {
    if (this.#over) {
      stream.close();
      return;
    }
    this.#stream = stream;
    this.calls.open(stream.streamId);
    this.#flush();
  }

  event(bytes: Uint8Array): void {
    if (this.#over) return;
    this.#heardAt = this.#part.clock.elapsed();
    if (this.#stream === undefined || this.#stage === 'storing' || this.#waiting.length > 0) {
      this.#keepBack(bytes);
      return;
    }
    this.#take(bytes);
  }

  /** What came before the end is heard first: an ERROR tells why it ends. */
  closed(error?: Error): void {
    const end: EpochEnd = { kind: 'closed', error };
    if (this.#stream === undefined || this.#stage === 'storing') this.#closing = end;
    else this.finish(end);
  }

  /** Ends the epoch, whoever ends it: calls find no listener, nothing is asked again. */
  finish(end: EpochEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.requests.end();
    this.calls.close();
    this.#stream?.close();
    void this.#subscription.drain();
    this.#end(end);
  }

  /** Once a second: forgotten offers, missing heartbeats. */
  tick(): void {
    if (this.#over) return;
    this.calls.declineForgotten();
    const silentMs = this.#part.clock.elapsed() - this.#heardAt;
    if (this.#stream !== undefined && silentMs > patience * this.#heartbeatMs) {
      this.finish({ kind: 'silent' });
    }
  }

  #keepBack(bytes: Uint8Array): void {
    if (this.#waiting.length < mostWaiting) this.#waiting.push(bytes);
    else this.#missed('kept back', `${mostWaiting} events wait for the store`);
  }

  /** Hands on what was kept back, up to where something must be stored first. */
  #flush(): void {
    while (!this.#over && this.#stage !== 'storing') {
      const bytes = this.#waiting.shift();
      if (bytes !== undefined) this.#take(bytes);
      else if (this.#closing !== undefined) this.finish(this.#closing);
      else return;
    }
  }

  #take(bytes: Uint8Array): void {
    let event: SchedulerEvent;
    try {
      event = decodeEvent(bytes, 'protobuf');
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      this.#missed('unreadable', error.message);
      return;
    }
    this.#part.metrics.event(String(event.type));
    this.#dispatch(event, bytes);
  }

  #dispatch(event: SchedulerEvent, bytes: Uint8Array): void {
    const { subjects, log } = this.#part;
    switch (event.type) {
      case 'SUBSCRIBED':
        void this.#onSubscribed(event, bytes);
        break;
      case 'HEARTBEAT':
      case 'RESCIND_INVERSE_OFFER':
        break;
      case 'OFFERS':
        this.#onOffers(event, bytes);
        break;
      case 'RESCIND':
        if (event.rescind !== undefined) this.calls.lent.remove(event.rescind.offer_id.value);
        break;
      case 'UPDATE':
        this.#ask(subjects.update(event.update?.status.task_id.value ?? ''), event, bytes);
        break;
      case 'FAILURE':
        this.#ask(subjects.failure, event, bytes);
        break;
      case 'UPDATE_OPERATION_STATUS':
        this.#ask(subjects.operation, event, bytes);
        break;
      case 'INVERSE_OFFERS':
        this.#ask(subjects.inverseOffers, event, bytes);
        break;
      case 'MESSAGE':
        this.#ask(subjects.message, event, bytes);
        break;
      case 'ERROR':
        this.#onError(event, bytes);
        break;
      default:
        log.warn({ type: event.type }, 'an event of a kind that is newer than this gateway');
    }
  }

  /** The new master's id must stand in the record before anybody is told anything of this master. */
  async #onSubscribed(event: SchedulerEvent, bytes: Uint8Array): Promise<void> {
    this.#stage = 'storing';
    this.calls.lent.clear();
    const seconds = event.subscribed?.heartbeat_interval_seconds;
    if (seconds !== undefined && seconds > 0) this.#heartbeatMs = seconds * 1000;
    const leads = await this.#options.store(event);
    if (this.#over) return;
    if (!leads) {
      this.finish({ kind: 'error', message: 'Framework failed over' });
      return;
    }
    this.#stage = 'flowing';
    this.#ask(this.#part.subjects.subscribed, event, bytes);
    this.#flush();
  }

  #onOffers(event: SchedulerEvent, bytes: Uint8Array): void {
    const { bus, clock, subjects } = this.#part;
    const offers = event.offers?.offers ?? [];
    const now = clock.elapsed();
    for (const offer of offers) this.calls.lent.add(offer.id.value, now);
    this.calls.levels.offersAt = clock.now();
    this.calls.levels.revives = 0;
    // A REVIVE of unknown outcome may have overtaken the SUPPRESS after it.
    this.calls.levels.suppressed = false;
    for (const chunk of chunkOffers(bytes, offers, chunkBytes)) {
      const handed = bus.publish(subjects.offers, chunk, this.#headers());
      // Nothing is lost for good: the offers are declined in 5 s and come again.
      if (!handed) this.#part.metrics.missed('OFFERS');
    }
  }

  /** A hint: where it gets lost the launch deadline does the same, later. */
  #onLapsed(offers: readonly string[]): void {
    const { bus, subjects } = this.#part;
    for (let start = 0; start < offers.length; start += lapsedAtOnce) {
      const body = encodeJson({ offers: offers.slice(start, start + lapsedAtOnce) });
      bus.publish(subjects.lapsed, body, this.#headers());
    }
  }

  #onError(event: SchedulerEvent, bytes: Uint8Array): void {
    const message = event.error?.message ?? '';
    this.#part.log.warn({ message }, 'Mesos ends the subscription');
    this.#part.bus.publish(this.#part.subjects.error, bytes, this.#headers());
    this.finish({ kind: 'error', message });
  }

  #ask(subject: string, event: SchedulerEvent, data: Uint8Array): void {
    const type = String(event.type);
    // Reconciliation asks about tasks; what agents say besides is not asked for again.
    const curable = type !== 'MESSAGE' && type !== 'INVERSE_OFFERS';
    const headers = this.#headers();
    this.requests.ask({ type, subject, data, headers, sequence: this.#sequence, curable });
  }

  /** An event that could not even be handed on has its position too. */
  #missed(type: string, why: string): void {
    this.#sequence += 1;
    this.requests.miss(type, this.#sequence, true, why);
  }

  #headers(): Headers {
    const { random } = this.#part;
    this.#sequence += 1;
    return {
      [header.epoch]: String(this.number),
      [header.sequence]: String(this.#sequence),
      [header.trace]: `00-${randomHex(random, 16)}-${randomHex(random, 8)}-01`,
    };
  }
}
