import type { Strike } from './faults/plan.ts';
import { type Outcome, simulate, type Variant } from './simulate.ts';

/** The shortest history found that breaks the same law. */
export interface Shrunk {
  readonly outcome: Outcome;
  /** The faults without which the law holds. */
  readonly left: readonly Strike[];
  readonly runs: number;
}

const mostRuns = 300;

/**
 * Leaves out faults, by halves, then quarters, down to single ones, and keeps what still breaks the
 * law that `broken` broke (delta debugging). What a fault does is drawn from its own number, so that
 * it does the same when others are left out.
 */
export async function shrink(broken: Outcome, variant?: Variant): Promise<Shrunk> {
  const law = broken.violations[0]?.law;
  let shortest = broken;
  let left: readonly Strike[] = broken.plan.strikes;
  let runs = 0;
  const breaks = async (kept: readonly Strike[]): Promise<boolean> => {
    runs += 1;
    const ids = new Set(kept.map(({ id }) => id));
    const spared = broken.plan.strikes.map(({ id }) => id).filter((id) => !ids.has(id));
    const outcome = await simulate(broken.seed, variant, new Set(spared));
    if (outcome.violations[0]?.law !== law) return false;
    shortest = outcome;
    left = kept;
    return true;
  };
  for (let parts = 1; left.length > 0 && runs < mostRuns; ) {
    const size = Math.ceil(left.length / parts);
    const found = await anyWithout(left, size, breaks);
    if (found) parts = Math.max(1, Math.min(parts - 1, left.length));
    else if (size === 1) break;
    else parts = Math.min(left.length, parts * 2);
  }
  return { outcome: shortest, left, runs };
}

/** Whether the law is still broken without some part of so many faults. */
async function anyWithout(
  strikes: readonly Strike[],
  size: number,
  breaks: (kept: readonly Strike[]) => Promise<boolean>,
): Promise<boolean> {
  for (let from = 0; from < strikes.length; from += size) {
    const kept = [...strikes.slice(0, from), ...strikes.slice(from + size)];
    if (await breaks(kept)) return true;
  }
  return false;
}
