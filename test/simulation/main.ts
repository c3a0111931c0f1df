import { parseArgs } from 'node:util';
import { batchesOf, runBatches, type Told } from './pool.ts';
import { report, reportShrunk, summary, summed, tableOf } from './report.ts';
import { shrink } from './shrink.ts';
import { simulate } from './simulate.ts';
import { variants } from './variants/variants.ts';

/**
 * One seed: `--seed 17 [--lines 200]`; where it breaks a law, the shortest history that shows it.
 * Its whole time line: `--seed 17 --about taskmanager-00003,framework`.
 * Many, on every core: `--seeds 2000 [--from 1]`. A wrong variant instead of the product:
 * `--variant "KILL not repeated"`.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    variant: { type: 'string' },
    lines: { type: 'string', default: '120' },
    about: { type: 'string' },
  },
});

if (values.variant !== undefined && variants[values.variant] === undefined) {
  process.stderr.write(`no such variant; there are: ${Object.keys(variants).join(', ')}\n`);
  process.exitCode = 2;
} else if (values.seed !== undefined) {
  process.exitCode = await one(values.seed);
} else if (values.seeds !== undefined) {
  process.exitCode = await many(Number(values.from), Number(values.seeds));
} else {
  process.stderr.write('which seed? --seed N, or --seeds N\n');
  process.exitCode = 2;
}

async function one(seed: string): Promise<number> {
  const planted = values.variant === undefined ? undefined : variants[values.variant];
  const outcome = await simulate(seed, planted);
  const about = values.about?.split(',');
  const lines = Number(values.lines);
  const isBroken = outcome.violations.length > 0;
  const text =
    isBroken && about === undefined
      ? reportShrunk(await shrink(outcome, planted), lines)
      : report(outcome, lines, about);
  process.stdout.write(`${text}\n`);
  return isBroken ? 1 : 0;
}

async function many(from: number, count: number): Promise<number> {
  const began = performance.now();
  const answers = await runBatches(batchesOf(from, count, values.variant));
  const told: readonly Told[] = answers.flat();
  const broken = told.filter((seed) => seed.broken !== undefined);
  for (const { seed, broken: law } of broken) {
    process.stdout.write(`seed ${seed}: ${law?.law}: ${law?.what}\n`);
  }
  const seconds = (performance.now() - began) / 1000;
  process.stdout.write(`${tableOf(summed(told.map(({ cells }) => cells)))}\n`);
  process.stdout.write(`${summary(told, seconds)}\n`);
  return broken.length > 0 ? 1 : 0;
}
