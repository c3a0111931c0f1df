import { NewestTerm } from './newest-term.ts';

/** When something was said, by the clock of whoever said it. */
export interface Said {
  readonly by: string;
  /** ms since 1970 by the sender's clock. */
  readonly at: number;
  /** Nothing that was said in a lower term counts any more. */
  readonly term: number;
}

/** The rates of two clocks agree to within this share. */
const driftShare = 0.001;
/** Below this the way may just have been longer. */
const toleratedMs = 1000;
/** Where all that comes is late for so long, the sender's clock was set back. */
const relearnMs = 10_000;

interface Sender {
  /** Between our clock and the sender's, with the shortest way that was seen. */
  readonly offsetMs: number;
  readonly heardAt: number;
  readonly lateSince: number | undefined;
}

/**
 * How late messages are, by their own time. The clocks of two hosts may differ by any amount: what
 * counts is how much longer a message was on its way than the quickest of its sender. Assumed is
 * that the first message that is heard of a sender came promptly, and that clocks run at the same
 * rate to one in a thousand. Of a sender whose clock was set back all counts as late for 10 s, and
 * as long of all where the counter of terms was set back.
 */
export class Lateness {
  readonly #senders = new Map<string, Sender>();
  readonly #newest: NewestTerm;

  /** `forgot` is told when a term was forgotten for a lower one. */
  constructor(forgot: (was: number, now: number) => void = () => {}) {
    this.#newest = new NewestTerm(forgot);
  }

  /** ms; infinite for what belongs to a term that is over. `now` is the clock's `elapsed`. */
  of({ by, at, term }: Said, now: number): number {
    const heard = this.#newest.hear(term, now);
    if (heard === 'over') return Number.POSITIVE_INFINITY;
    const known = this.#senders.get(by);
    // Those of the terms before are heard no more.
    if (heard === 'new') this.#senders.clear();
    const offsetMs = now - at;
    const late = known === undefined ? 0 : lateBy(known, offsetMs, now);
    if (known === undefined || late <= 0) {
      this.#senders.set(by, { offsetMs, heardAt: now, lateSince: undefined });
      return 0;
    }
    const lateSince = late > toleratedMs ? (known.lateSince ?? now) : undefined;
    const relearn = lateSince !== undefined && now - lateSince >= relearnMs;
    this.#senders.set(
      by,
      relearn ? { offsetMs, heardAt: now, lateSince: undefined } : { ...known, lateSince },
    );
    return relearn ? 0 : late;
  }
}

function lateBy({ offsetMs, heardAt }: Sender, seenMs: number, now: number): number {
  return seenMs - offsetMs - (now - heardAt) * driftShare;
}
