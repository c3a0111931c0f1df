import { encodeJson, type SetAsideMessage } from '#proto/messages.ts';
import type { Timer } from '../clock.ts';
import type { RunOptions } from './options.ts';

/** At most one is told in so long: whoever sends rubbish must not push the decision log out of its stream. */
const spacingMs = 1000;
const longestWhy = 1000;

/** What a function can make nothing of: counted, and told where it is kept for people. */
export class Aside {
  readonly #name: string;
  readonly #options: RunOptions;
  /** The newest that was not told yet. */
  #untold: SetAsideMessage | undefined;
  /** Runs while one was told just now. */
  #pause: Timer | undefined;

  constructor(name: string, options: RunOptions) {
    this.#name = name;
    this.#options = options;
  }

  /** `what` names the event where it could be read. The body is not told: it may hold what is secret. */
  put(subject: string, why: string, what = ''): void {
    const { clock, copy, metrics } = this.#options;
    metrics?.setAside();
    this.#untold = {
      at: clock.now(),
      function: this.#name,
      copy,
      subject,
      what,
      why: why.slice(0, longestWhy),
      more: this.#untold === undefined ? 0 : this.#untold.more + 1,
    };
    if (this.#pause === undefined) this.#tell();
  }

  /** Tells what is left. */
  close(): void {
    this.#pause?.cancel();
    this.#tell();
    this.#pause?.cancel();
  }

  #tell(): void {
    const { bus, clock, setAsideSubject } = this.#options;
    this.#pause = undefined;
    if (this.#untold === undefined) return;
    bus.publish(setAsideSubject, encodeJson(this.#untold));
    this.#untold = undefined;
    this.#pause = clock.after(spacingMs, () => this.#tell());
  }
}
