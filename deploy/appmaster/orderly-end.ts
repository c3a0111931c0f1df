import type { FrameworkRecord } from '#proto/records.ts';
import type { Outcome } from './stack.ts';
import { isEnding } from './watch.ts';

export interface OrderlyEndOptions {
  readonly cluster: string;
  /** How long the functions may take to begin the teardown, ms. */
  readonly limitMs: number;
  /** Stores the command that ends the framework of that id. */
  readonly request: (frameworkId: string) => Promise<void>;
  readonly say: (line: string) => void;
  readonly finish: (outcome: Outcome) => void;
}

/**
 * After the JobManager's orderly end the framework has to go. The driver tells drey of the end, but
 * waits 10 s only; a JobManager without the driver tells nobody. So the teardown is asked for by a
 * command that NATS keeps until a function applies it, for as long as the record says that nothing ends.
 */
export class OrderlyEnd {
  readonly #options: OrderlyEndOptions;
  readonly #timer: NodeJS.Timeout;
  #latest: FrameworkRecord | undefined;
  #asking = false;
  /** The framework id for which the command is stored. */
  #stored: string | undefined;
  #failure = 'no function has made the stream of commands yet';

  constructor(options: OrderlyEndOptions) {
    this.#options = options;
    this.#timer = setTimeout(() => this.#giveUp(), options.limitMs);
    this.#timer.unref();
  }

  /** The framework's record as it was just read; called twice a second. */
  hear(record: FrameworkRecord): void {
    this.#latest = record;
    if (isEnding(record) || this.#asking || this.#stored === record.id) return;
    this.#asking = true;
    void this.#ask(record.id).finally(() => {
      this.#asking = false;
    });
  }

  async #ask(frameworkId: string): Promise<void> {
    try {
      await this.#options.request(frameworkId);
      this.#stored = frameworkId;
      this.#options.say(
        `the teardown of framework ${frameworkId} is stored, waiting until functions do it`,
      );
    } catch (error) {
      // Asked for again when the record is next heard.
      this.#failure = error instanceof Error ? error.message : String(error);
    }
  }

  #giveUp(): void {
    const record = this.#latest;
    const { cluster, limitMs, say, finish } = this.#options;
    if (isEnding(record)) {
      say(`framework ${record?.id} is still being torn down, waiting on`);
      return;
    }
    const command = `nats pub drey.${cluster}.admin.teardown '{}'`;
    const stored = record !== undefined && this.#stored === record.id;
    const remedy = stored
      ? 'its teardown is stored on NATS and is done once functions and a gateway of this cluster run: start this command again'
      : `its teardown could not be stored on NATS (${this.#failure}): start this command again, and end it with: ${command}`;
    finish({
      code: 2,
      why:
        `the JobManager ended in order, but after ${limitMs / 1000} s framework ` +
        `${record?.id ?? 'of this cluster'} is still registered and its TaskManagers may run; ${remedy}`,
    });
  }
}
