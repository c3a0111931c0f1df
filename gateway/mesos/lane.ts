import { Client } from 'undici';
import type { CallOutcome } from '#proto/messages.ts';

/** One connection to a master that carries one call at a time, in the order given. */
export class Lane {
  readonly #client: Client;
  /** Settles when the last call has been answered: the next is written only then. */
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(origin: string, options: Client.Options) {
    this.#client = new Client(origin, { ...options, pipelining: 1 });
  }

  /** Calls that were handed over and not answered yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Runs `send` when its turn comes; what must hold when a call is written is asked there. It never rejects. */
  run(send: (client: Client) => Promise<CallOutcome>): Promise<CallOutcome> {
    this.#waiting += 1;
    const answered = this.#last.then(() => send(this.#client));
    this.#last = answered.finally(() => {
      this.#waiting -= 1;
    });
    return answered;
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    await this.#client.close();
  }
}
