import { parseArgs } from 'node:util';
import { report, violations } from './report.ts';
import { runFaults } from './run.ts';
import { everyKind } from './schedule.ts';

/** `npm run soak -- --minutes 30 [--seed 7] [--nats 3]`: faults for so long, then the laws. */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Date.now() % 100_000) },
    nats: { type: 'string', default: '1' },
  },
});
const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new RangeError(`--minutes must be above 0, not "${values.minutes}"`);
const result = await runFaults({
  seed: values.seed,
  durationMs: minutes * 60_000,
  pauseMs: 3000,
  kinds: everyKind,
  agents: 100,
  natsServers: values.nats === '3' ? 3 : 1,
  load: { low: 60, high: 240, everyMs: 8000 },
});
for (const line of report(`soak, seed ${values.seed}`, result)) process.stdout.write(`${line}\n`);
const broken = violations(result);
for (const what of broken) process.stdout.write(`BROKEN ${what}\n`);
const faults = [...result.struck.values()].reduce((sum, count) => sum + count, 0);
process.stdout.write(
  `soak: ${minutes} min, seed ${values.seed}, ${values.nats} nats-server, ${faults} faults, ` +
    `${result.figures.launches} launches, ${result.verdicts.length} laws, ${broken.length} violations\n`,
);
process.exitCode = broken.length > 0 ? 1 : 0;
