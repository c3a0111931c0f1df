import assert from 'node:assert/strict';
import { test } from 'node:test';
import { report, violations } from './report.ts';
import { type RunOptions, runFaults } from './run.ts';
import { everyKind } from './schedule.ts';

const full = process.env.DREY_FULL === '1';

const small: RunOptions = {
  seed: '1',
  durationMs: 30_000,
  pauseMs: 2000,
  kinds: everyKind.filter((kind) => kind !== 'all ZooKeeper servers killed'),
  agents: 100,
  natsServers: 1,
  load: { low: 40, high: 160, everyMs: 3000 },
};
const large: RunOptions = {
  ...small,
  durationMs: 240_000,
  pauseMs: 2500,
  kinds: everyKind,
  load: { low: 60, high: 240, everyMs: 8000 },
};

const runs: readonly (readonly [string, RunOptions])[] = full
  ? [
      ['one nats-server', large],
      ['three nats-servers, streams on all of them', { ...large, seed: '2', natsServers: 3 }],
    ]
  : [['one nats-server', small]];

for (const [servers, options] of runs) {
  test(`faults: nothing is lost and nothing is doubled, with ${servers}`, async () => {
    const result = await runFaults(options);
    for (const line of report(`seed ${options.seed}`, result)) console.log(`# ${line}`);
    assert.deepEqual(violations(result), []);
  });
}
