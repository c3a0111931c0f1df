import type { UnreadableRecordError } from '../errors.ts';
import type { RunOptions } from './options.ts';

/** A record that was readable for so long in between is told of again. */
const toldMs = 60_000;
const mostPaths = 1000;

/** Records that are there and cannot be read: each is told of once while it stays so, and counted. */
export class Unreadable {
  readonly #options: RunOptions;
  /** Path -> when it was last met, by the clock's `elapsed`. */
  readonly #met = new Map<string, number>();

  constructor(options: RunOptions) {
    this.#options = options;
  }

  /** Nothing is decided about it, everything else goes on. */
  note(error: UnreadableRecordError): void {
    const { clock, log, metrics } = this.#options;
    metrics?.unreadable();
    const now = clock.elapsed();
    const before = this.#met.get(error.path);
    if (before === undefined && this.#met.size >= mostPaths) this.#met.clear();
    this.#met.set(error.path, now);
    if (before !== undefined && now - before < toldMs) return;
    const facts = { path: error.path, why: error.message };
    log.error(facts, 'nothing is decided that depends on a record which cannot be read');
  }
}
