import type { Headers } from '#runtime/bus/bus.ts';
import { sleep } from '#runtime/clock.ts';
import { DreyError } from '#runtime/errors.ts';
import type { GatewaySurroundings } from './surroundings.ts';

const askAgainMs = 2000;
const mostTries = 5;
const mostUnanswered = 256;
/** Behind those so many wait for their turn: 500 tasks that start at once are no loss. */
const mostWaiting = 10_000;

/** An event for the one function that owns it. */
export interface EventRequest {
  /** Its Mesos type, for counting. */
  readonly type: string;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: Headers;
  /** Its position in the epoch. */
  readonly sequence: number;
  /** Whether reconciliation can make up for its loss. */
  readonly curable: boolean;
}

/**
 * Asks the owner of an event until it answers that it is done, as long as the epoch lasts. What
 * nobody took is counted: Mesos repeats updates by itself, reconciliation cures the rest.
 */
export class EventRequests {
  readonly #part: Pick<GatewaySurroundings, 'bus' | 'clock' | 'log' | 'metrics'>;
  #unanswered = 0;
  #waiting: EventRequest[] = [];
  #missed = 0;
  #over = false;

  constructor(part: Pick<GatewaySurroundings, 'bus' | 'clock' | 'log' | 'metrics'>) {
    this.#part = part;
  }

  /**
   * The position of the newest event that was missed in this epoch, 0 where none was. A level that
   * every tick repeats: whoever reconciles may be away, or lose a tick.
   */
  get missed(): number {
    return this.#missed;
  }

  /** The epoch has ended: nothing is asked again. */
  end(): void {
    this.#over = true;
    this.#waiting = [];
  }

  /** Notes an event that reached nobody. */
  miss(type: string, sequence: number, curable: boolean, why: string): void {
    if (curable) this.#missed = Math.max(this.#missed, sequence);
    this.#part.metrics.missed(type);
    this.#part.log.warn({ type, why }, 'an event reached no function');
  }

  ask(event: EventRequest): void {
    if (this.#unanswered < mostUnanswered) {
      this.#start(event);
    } else if (this.#waiting.length < mostWaiting) {
      this.#waiting.push(event);
    } else {
      this.miss(event.type, event.sequence, event.curable, `${mostWaiting} events wait`);
    }
  }

  #start(event: EventRequest): void {
    this.#unanswered += 1;
    void this.#untilDone(event).finally(() => {
      this.#unanswered -= 1;
      const next = this.#waiting.shift();
      if (next !== undefined) this.#start(next);
    });
  }

  async #untilDone(event: EventRequest): Promise<void> {
    const { bus, clock } = this.#part;
    const { subject, data, headers } = event;
    let last = '';
    for (let tries = 0; tries < mostTries && !this.#over; tries++) {
      const began = clock.elapsed();
      try {
        await bus.request(subject, data, { timeoutMs: askAgainMs, headers });
        return;
      } catch (error) {
        if (!(error instanceof DreyError)) throw error;
        last = error.message;
      }
      const restMs = began + askAgainMs - clock.elapsed();
      if (restMs > 0) await sleep(clock, restMs);
    }
    if (!this.#over) this.miss(event.type, event.sequence, event.curable, last);
  }
}
