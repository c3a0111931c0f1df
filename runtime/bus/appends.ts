import { BadMessageError, BusUnavailableError } from '../errors.ts';
import type { Headers } from './bus.ts';
import type { Requests } from './requests.ts';

/** Messages on their way to a stream at one time. */
const windowSize = 256;
const maxWaiting = 10_000;
const timeoutMs = 5000;

/** Stores messages in streams, up to a window at one time; each acknowledgement is parsed and checked. */
export class Appends {
  readonly #requests: Requests;
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /** Resolves to the sequence. @throws BusUnavailableError, NoResponderError, RequestTimeoutError, BadMessageError */
  async append(subject: string, data: Uint8Array, headers?: Headers): Promise<number> {
    await this.#enter();
    try {
      const answer = await this.#requests.send(subject, data, { timeoutMs, headers });
      return sequenceOf(subject, answer.data);
    } finally {
      this.#leave();
    }
  }

  async #enter(): Promise<void> {
    if (this.#underWay < windowSize) {
      this.#underWay += 1;
      return;
    }
    if (this.#waiting.length >= maxWaiting) {
      throw new BusUnavailableError(`${maxWaiting} messages wait to be stored already`);
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** The place goes to the next in line. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#underWay -= 1;
    else next();
  }
}

function sequenceOf(subject: string, data: Uint8Array): number {
  const text = new TextDecoder().decode(data);
  const answer = parse(text);
  if (typeof answer !== 'object' || answer === null) throw notReceipt(subject, text);
  if ('error' in answer) {
    throw new BusUnavailableError(`${subject} was not stored: ${JSON.stringify(answer.error)}`);
  }
  if (!('stream' in answer && 'seq' in answer) || typeof answer.seq !== 'number') {
    throw notReceipt(subject, text);
  }
  return answer.seq;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function notReceipt(subject: string, text: string): BadMessageError {
  const shown = text.slice(0, 200);
  return new BadMessageError(`no stream, but something else answers on ${subject}: ${shown}`);
}
