/** Where only lower terms were heard for so long, the counter of terms itself was set back. */
const relearnMs = 10_000;

/**
 * The highest term that was heard. It forgets that term when for 10 s only lower ones came: the
 * records that terms are counted in were removed or copied back from an older state.
 */
export class NewestTerm {
  readonly #forgot: (was: number, now: number) => void;
  #term = Number.NEGATIVE_INFINITY;
  /** Since when only lower terms were heard, by the clock's `elapsed`. */
  #lowerSince: number | undefined;

  /** `forgot` is told when a term was forgotten for a lower one. */
  constructor(forgot: (was: number, now: number) => void) {
    this.#forgot = forgot;
  }

  get term(): number {
    return this.#term;
  }

  /** What a term that was just heard is to those before it. `now` is the clock's `elapsed`. */
  hear(term: number, now: number): 'new' | 'same' | 'over' {
    if (term < this.#term) {
      this.#lowerSince ??= now;
      if (now - this.#lowerSince < relearnMs) return 'over';
      this.#forgot(this.#term, term);
    }
    this.#lowerSince = undefined;
    if (term === this.#term) return 'same';
    this.#term = term;
    return 'new';
  }
}
