import type { Clock, Timer } from '../clock.ts';
import { BusUnavailableError, NoResponderError, RequestTimeoutError } from '../errors.ts';
import type { Headers, Subscription } from './bus.ts';
import type { Wire, WireMessage } from './wire.ts';

interface Pending {
  readonly subject: string;
  readonly timeoutMs: number;
  readonly deadline: number;
  readonly resolve: (message: WireMessage) => void;
  readonly reject: (error: Error) => void;
}

/** What a request may take and carry. */
export interface RequestOptions {
  readonly timeoutMs: number;
  readonly headers?: Headers | undefined;
}

const maxUnderWay = 65_536;
/** How late a deadline may be noticed. */
const sweepMs = 50;
const noResponders = 503;

/**
 * Requests over one inbox, one map and one timer. The client's own requests arm a timer each, which
 * costs about three quarters of their rate.
 */
export class Requests {
  readonly #wire: Wire;
  readonly #clock: Clock;
  readonly #inbox: string;
  readonly #pending = new Map<string, Pending>();
  readonly #answers: Subscription;
  readonly #stopListening: () => void;
  #count = 0;
  #sweep: Timer | undefined;

  constructor(wire: Wire, clock: Clock) {
    this.#wire = wire;
    this.#clock = clock;
    this.#inbox = wire.newInbox();
    this.#answers = wire.subscribe(`${this.#inbox}.*`, undefined, (message) =>
      this.#answered(message),
    );
    this.#stopListening = wire.onConnection((connected) => {
      if (!connected) this.#abandon();
    });
  }

  /** @throws NoResponderError, RequestTimeoutError, BusUnavailableError, BadMessageError */
  send(subject: string, data: Uint8Array, options: RequestOptions): Promise<WireMessage> {
    return new Promise((resolve, reject) => {
      if (this.#pending.size >= maxUnderWay) {
        throw new BusUnavailableError(`${maxUnderWay} requests are unanswered already`);
      }
      this.#count += 1;
      const token = this.#count.toString(36);
      const { timeoutMs, headers } = options;
      const reply = `${this.#inbox}.${token}`;
      if (!this.#wire.publish(subject, data, { headers, reply })) {
        throw new BusUnavailableError(`no connection to NATS at ${this.#wire.servers}`);
      }
      const deadline = this.#clock.elapsed() + timeoutMs;
      this.#pending.set(token, { subject, timeoutMs, deadline, resolve, reject });
      this.#sweep ??= this.#clock.after(sweepMs, () => this.#expire());
    });
  }

  async close(): Promise<void> {
    this.#stopListening();
    this.#sweep?.cancel();
    this.#abandon();
    await this.#answers.drain();
  }

  #answered(message: WireMessage): void {
    const token = message.subject.slice(this.#inbox.length + 1);
    const pending = this.#pending.get(token);
    // A second answer, or one after the deadline.
    if (pending === undefined) return;
    this.#pending.delete(token);
    if (message.status === noResponders && message.data.byteLength === 0) {
      pending.reject(new NoResponderError(pending.subject));
    } else {
      pending.resolve(message);
    }
  }

  #expire(): void {
    const now = this.#clock.elapsed();
    for (const [token, pending] of this.#pending) {
      if (pending.deadline > now) continue;
      this.#pending.delete(token);
      pending.reject(new RequestTimeoutError(pending.subject, pending.timeoutMs));
    }
    this.#sweep =
      this.#pending.size === 0 ? undefined : this.#clock.after(sweepMs, () => this.#expire());
  }

  /** The connection is gone, the answers with it: whether the requests were handled is unknown. */
  #abandon(): void {
    for (const pending of this.#pending.values()) {
      pending.reject(new RequestTimeoutError(pending.subject, pending.timeoutMs));
    }
    this.#pending.clear();
  }
}
