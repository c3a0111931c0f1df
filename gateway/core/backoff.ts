const firstMs = 250;
const longestMs = 15_000;

/** Truncated exponential pauses with jitter between tries to subscribe. */
export class Backoff {
  readonly #random: () => number;
  #tries = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** The next pause in ms; at least what the master asked for. */
  next(atLeastMs = 0): number {
    const full = Math.min(longestMs, firstMs * 2 ** Math.min(this.#tries, 10));
    this.#tries += 1;
    return Math.max(atLeastMs, full / 2 + (this.#random() * full) / 2);
  }

  /** A subscription stood. */
  reset(): void {
    this.#tries = 0;
  }
}
