import { type DemandAnswer, demandAnswer, encodeJson } from '#proto/messages.ts';
import type { DemandVerb, Subjects } from '#proto/subjects.ts';
import type { Bus } from '#runtime/bus/bus.ts';
import type { Timer } from '#runtime/clock.ts';
import { DreyError } from '#runtime/errors.ts';
import type { Life } from './life.ts';

const answerTimeoutMs = 2000;
const firstRetryMs = 250;
const lastRetryMs = 2000;

/** One message on its way: repeated, unchanged, until it is answered. */
export interface Question {
  /** Repeats it no more; an answer to what was sent already still counts. */
  stop(): void;
  /** Calls once no copy of it awaits an answer any more. */
  whenQuiet(then: () => void): void;
}

/** How the driver speaks with drey: as `Demand.java` does. */
export class Demand {
  readonly #life: Life;
  readonly #bus: Bus;
  readonly #subjects: Subjects;

  constructor(life: Life, bus: Bus, subjects: Subjects) {
    this.#life = life;
    this.#bus = bus;
    this.#subjects = subjects;
  }

  ask(
    verb: 'recover' | 'request' | 'release' | 'confirm' | 'deregister',
    message: unknown,
    answered: (answer: DemandAnswer) => void,
    delayMs = 0,
  ): Question {
    let retryMs = firstRetryMs;
    let stopped = false;
    let asking = false;
    let timer: Timer | undefined;
    let quiet: (() => void) | undefined;
    const send = async (): Promise<void> => {
      asking = true;
      const answer = await this.#once(verb, message);
      asking = false;
      if (answer !== undefined) {
        stopped = true;
        quiet?.();
        answered(answer);
      } else if (stopped) quiet?.();
      else {
        later(retryMs);
        retryMs = Math.min(2 * retryMs, lastRetryMs);
      }
    };
    const later = (ms: number): void => {
      timer = this.#life.clock.after(ms, () => {
        if (stopped) quiet?.();
        else void send();
      });
    };
    later(delayMs);
    return {
      stop: () => {
        stopped = true;
        if (!asking) timer?.cancel();
      },
      whenQuiet: (then) => {
        if (asking) quiet = then;
        else then();
      },
    };
  }

  /** Undefined where no answer came, or none that can be read: the same message is sent again. */
  async #once(verb: DemandVerb, message: unknown): Promise<DemandAnswer | undefined> {
    try {
      const options = { timeoutMs: answerTimeoutMs };
      const subject = this.#subjects.demand(verb);
      const reply = await this.#bus.request(subject, encodeJson(message), options);
      return demandAnswer.safeParse(JSON.parse(new TextDecoder().decode(reply.data))).data;
    } catch (error) {
      if (error instanceof DreyError || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }
}
