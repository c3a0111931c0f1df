import { parseArgs } from 'node:util';
import { report, summary } from './report.ts';
import { type Outcome, simulate } from './simulate.ts';
import { variants } from './variants.ts';

/**
 * One seed with its time line: `--seed 17 [--lines 200] [--about taskmanager-00003,framework]`.
 * Many: `--seeds 500 [--from 1]`. A wrong variant instead of the product: `--variant "KILL not repeated"`.
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
const variant = values.variant === undefined ? { tampering: {} } : variants[values.variant];
if (variant === undefined) {
  process.stderr.write(`no such variant; there are: ${Object.keys(variants).join(', ')}\n`);
  process.exitCode = 2;
} else if (values.seed !== undefined) {
  const outcome = await simulate(values.seed, variant);
  const about = values.about?.split(',');
  process.stdout.write(`${report(outcome, Number(values.lines), about)}\n`);
  process.exitCode = outcome.violations.length > 0 ? 1 : 0;
} else if (values.seeds !== undefined) {
  const began = performance.now();
  const outcomes: Outcome[] = [];
  const first = Number(values.from);
  for (let seed = first; seed < first + Number(values.seeds); seed += 1) {
    const outcome = await simulate(String(seed), variant);
    outcomes.push(outcome);
    const [broken] = outcome.violations;
    if (broken !== undefined) {
      process.stdout.write(`seed ${seed}: ${broken.law}: ${broken.what}\n`);
    }
  }
  process.stdout.write(`${summary(outcomes, (performance.now() - began) / 1000)}\n`);
  process.exitCode = outcomes.some(({ violations }) => violations.length > 0) ? 1 : 0;
} else {
  process.stderr.write('which seed? --seed N, or --seeds N\n');
  process.exitCode = 2;
}
