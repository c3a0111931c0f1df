import { parentPort } from 'node:worker_threads';
import type { Batch, Told } from './pool.ts';
import { type Outcome, simulate } from './simulate.ts';
import { variants } from './variants/variants.ts';

parentPort?.on('message', (batch: Batch) => {
  void run(batch).then((told) => parentPort?.postMessage(told));
});

async function run({ variant, from, count, untilBroken }: Batch): Promise<readonly Told[]> {
  const planted = variant === undefined ? undefined : variants[variant];
  const told: Told[] = [];
  for (let seed = from; seed < from + count; seed += 1) {
    const one = tell(seed, await simulate(String(seed), planted));
    told.push(one);
    if (untilBroken && one.broken !== undefined) break;
  }
  return told;
}

function tell(seed: number, outcome: Outcome): Told {
  const { digest, violations, events, virtualMs, faults, cells } = outcome;
  return { seed, digest, broken: violations[0], events, virtualMs, faults, cells };
}
