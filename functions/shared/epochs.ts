import type { Subjects } from '#proto/subjects.ts';
import type { Bus } from '#runtime/bus/bus.ts';
import type { Clock } from '#runtime/clock.ts';
import { NewestTerm } from '#runtime/run/newest-term.ts';
import { followTicks } from './ticks.ts';

/** Tells when an epoch is over: whoever waits for an answer of its gateway waits in vain. */
export interface Epochs {
  /** Resolves once a newer epoch than `epoch` has been heard of; `stop` ends the waiting. */
  over(epoch: number): { readonly promise: Promise<void>; stop(): void };
}

/** Hears every tick; a gateway that was killed can no longer answer the calls it had taken. */
export function watchEpochs(bus: Bus, subjects: Subjects, clock: Clock): Epochs {
  // The runner, which hears the same ticks, tells when one is forgotten.
  const newest = new NewestTerm(() => {});
  const waiting = new Map<() => void, number>();
  followTicks(bus, subjects, ({ epoch }) => {
    if (newest.hear(epoch, clock.elapsed()) !== 'new') return;
    for (const [resolve, of] of waiting) {
      if (of < epoch) resolve();
    }
  });
  return {
    over: (epoch) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      if (epoch < newest.term) resolve();
      else waiting.set(resolve, epoch);
      return { promise, stop: () => waiting.delete(resolve) };
    },
  };
}
