import { decodeCall, encodeCall } from '#proto/mesos/codec.ts';
import { CodecError } from '#proto/mesos/codec-error.ts';
import type { OfferID, SchedulerCall } from '#proto/mesos/types.ts';
import { type CallOutcome, encodeJson } from '#proto/messages.ts';
import { callNames, header } from '#proto/subjects.ts';
import type { BusMessage } from '#runtime/bus/bus.ts';
import { LentOffers } from '../mesos/lent.ts';
import type { GatewaySurroundings } from './surroundings.ts';

/** Nobody answered an offer for so long: the gateway declines it. */
const unansweredMs = 5000;
const refuseSeconds = 1;
/** A doubled request comes within so many others. */
const repliesKept = 4096;
/** Sent in the order received, over one connection. */
const orderedTypes: ReadonlySet<string> = new Set(['ACCEPT', 'DECLINE', 'SUPPRESS', 'REVIVE']);

/** REVIVE and SUPPRESS as they were last sent, for the tick. */
export interface Levels {
  offersAt: number;
  revivedAt: number;
  revives: number;
  suppressed: boolean;
}

type Part = Pick<GatewaySurroundings, 'bus' | 'clock' | 'mesos' | 'log' | 'metrics' | 'complete'>;

/** Whose calls these are, and who hears of their offers. */
export interface DeskOptions {
  readonly frameworkId: string;
  /** Whether SUBSCRIBE suppressed all roles. */
  readonly suppressed: boolean;
  /** Nobody used these offers, and nobody can any more: an ACCEPT that names one was never sent. */
  readonly onLapsed: (offers: readonly string[]) => void;
}

const refused = (message: string): CallOutcome => ({ outcome: 'refused', message });

/** The calls of one epoch on their way to Mesos, and the offers that they may use. */
export class CallDesk {
  readonly lent = new LentOffers();
  readonly levels: Levels;
  readonly #part: Part;
  readonly #frameworkId: string;
  readonly #onLapsed: DeskOptions['onLapsed'];
  /** Where the last calls are answered: each request has a subject of its own. */
  readonly #replies = new Set<string>();
  #streamId: string | undefined;
  #teardown: Promise<CallOutcome> | undefined;

  constructor(part: Part, { frameworkId, suppressed, onLapsed }: DeskOptions) {
    this.#part = part;
    this.#frameworkId = frameworkId;
    this.#onLapsed = onLapsed;
    this.levels = { offersAt: 0, revivedAt: 0, revives: 0, suppressed };
  }

  /** The stream stands: calls pass from now on. */
  open(streamId: string): void {
    this.#streamId = streamId;
  }

  /** The stream has ended: every further call is refused, offers are void. */
  close(): void {
    this.#streamId = undefined;
    this.lent.clear();
  }

  /** What became of TEARDOWN in this epoch; undefined when nobody asked for it. */
  get teardown(): Promise<CallOutcome> | undefined {
    return this.#teardown;
  }

  /** A call of a function: answered with its outcome. */
  handle(message: BusMessage): void {
    if (this.#isRepeat(message)) return;
    void this.#perform(message).then((outcome) => {
      if (message.reply !== undefined) this.#part.bus.publish(message.reply, encodeJson(outcome));
    });
  }

  /** A doubled request gets one answer: that the second finds its offers used would deny the first. */
  #isRepeat({ reply }: BusMessage): boolean {
    if (reply === undefined) return false;
    if (this.#replies.has(reply)) return true;
    this.#replies.add(reply);
    for (const oldest of this.#replies) {
      if (this.#replies.size <= repliesKept) break;
      this.#replies.delete(oldest);
    }
    return false;
  }

  /** Nothing is awaited before a call is handed on, so that their order stays. */
  async #perform(message: BusMessage): Promise<CallOutcome> {
    const call = this.#read(message);
    if ('outcome' in call) return call;
    const outcome = await this.#route(call);
    this.#part.metrics.call(String(call.type), outcome.outcome);
    if (outcome.outcome !== 'sent') {
      const trace = message.headers[header.trace];
      this.#part.log.warn({ type: call.type, trace, ...outcome }, 'a call was not surely sent');
    }
    return outcome;
  }

  #read(message: BusMessage): SchedulerCall | CallOutcome {
    let call: SchedulerCall;
    try {
      call = decodeCall(message.data, 'protobuf');
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      return refused(`${message.subject}: no scheduler call: ${error.message}`);
    }
    const why = this.#objection(call, message.subject);
    if (why !== undefined) return refused(`${message.subject}: ${why}`);
    return { ...call, framework_id: { value: this.#frameworkId } };
  }

  /** Why a call is not sent whatever it asks for. */
  #objection(call: SchedulerCall, subject: string): string | undefined {
    const name = String(call.type).toLowerCase().replaceAll('_', '-');
    const asked = subject.slice(subject.lastIndexOf('.') + 1);
    // An UNKNOWN call would make the master abort.
    if (!callNames.some((known) => known === name)) return `${call.type} is never sent`;
    if (asked !== name) return `a call of type ${call.type} came as ${asked}`;
    const framework = call.framework_id?.value;
    if (framework === undefined || framework === this.#frameworkId) return undefined;
    return `field framework_id is ${framework}, not ${this.#frameworkId}: a call of another cluster`;
  }

  #route(call: SchedulerCall): Promise<CallOutcome> {
    if (this.#streamId === undefined) {
      return Promise.resolve(refused('no subscription to Mesos stands'));
    }
    switch (call.type) {
      case 'ACCEPT':
        return this.#accept(call);
      case 'DECLINE':
        return this.#decline(call);
      case 'SUPPRESS':
        return this.#suppress(call);
      case 'REVIVE':
        return this.#revive(call);
      case 'TEARDOWN':
        this.#teardown = this.#send(call);
        return this.#teardown;
      default:
        return this.#send(call);
    }
  }

  async #accept(call: SchedulerCall): Promise<CallOutcome> {
    const offers = idsOf(call.accept?.offer_ids);
    if (offers.length === 0) return refused('ACCEPT names no offer');
    const whole = this.#part.complete?.(call) ?? call;
    if (typeof whole === 'string') return refused(whole);
    const { missing } = this.lent.takeAll(offers);
    if (missing !== undefined) return refused(`offer ${missing} is not held`);
    const outcome = await this.#send(whole);
    // Silent if they were used; else the master must not wait for us.
    if (outcome.outcome === 'unknown') this.declineOffers(offers);
    if (outcome.outcome === 'refused') this.#keep(offers);
    return outcome;
  }

  async #decline(call: SchedulerCall): Promise<CallOutcome> {
    const held = this.lent.takeHeld(idsOf(call.decline?.offer_ids));
    if (held.length === 0) return refused('none of these offers is held');
    const outcome = await this.#send({
      ...call,
      decline: { ...call.decline, offer_ids: held.map((value) => ({ value })) },
    });
    if (outcome.outcome !== 'sent') this.#keep(held);
    return outcome;
  }

  async #suppress(call: SchedulerCall): Promise<CallOutcome> {
    const outcome = await this.#send(call);
    // When in doubt the level reads suppressed: whoever waits will revive.
    if (outcome.outcome !== 'refused') this.levels.suppressed = true;
    return outcome;
  }

  async #revive(call: SchedulerCall): Promise<CallOutcome> {
    const outcome = await this.#send(call);
    if (outcome.outcome === 'sent') this.levels.suppressed = false;
    if (outcome.outcome !== 'refused') {
      this.levels.revivedAt = this.#part.clock.now();
      this.levels.revives += 1;
    }
    return outcome;
  }

  /** Declines what nobody answered in time; called every second. */
  declineForgotten(): void {
    const { clock, log } = this.#part;
    const { lent, spent } = this.lent.takeOlderThan(unansweredMs, clock.elapsed());
    if (this.#streamId === undefined) return;
    if (lent.length > 0) {
      log.warn({ offers: lent.length }, 'offers that nobody answered are declined');
      this.#onLapsed(lent);
    }
    if (lent.length + spent.length > 0) this.declineOffers([...lent, ...spent]);
  }

  declineOffers(offers: readonly string[]): void {
    if (this.#streamId === undefined) return;
    const decline = {
      offer_ids: offers.map((value) => ({ value })),
      filters: { refuse_seconds: refuseSeconds },
    };
    const framework_id = { value: this.#frameworkId };
    void this.#send({ type: 'DECLINE', framework_id, decline }).then(({ outcome }) => {
      this.#part.metrics.call('DECLINE', outcome);
      // Declining twice is silent: it is done again in 5 s until it is known to be sent.
      const still = outcome !== 'sent' && this.#streamId !== undefined;
      if (still) this.lent.spend(offers, this.#part.clock.elapsed());
    });
  }

  #keep(offers: readonly string[]): void {
    if (this.#streamId === undefined) return;
    const now = this.#part.clock.elapsed();
    for (const id of offers) this.lent.add(id, now);
  }

  #send(call: SchedulerCall): Promise<CallOutcome> {
    if (this.#streamId === undefined) return Promise.resolve(refused('the subscription has ended'));
    let bytes: Uint8Array;
    try {
      bytes = encodeCall(call, 'protobuf');
    } catch (error) {
      if (error instanceof CodecError) return Promise.resolve(refused(error.message));
      throw error;
    }
    return this.#part.mesos.call(this.#streamId, bytes, orderedTypes.has(String(call.type)));
  }
}

function idsOf(ids: readonly OfferID[] | undefined): readonly string[] {
  return (ids ?? []).map(({ value }) => value);
}
