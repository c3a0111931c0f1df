import assert from 'node:assert/strict';
import { test } from 'node:test';
import { report, summary } from './report.ts';
import { type Outcome, simulate } from './simulate.ts';
import { variants } from './variants.ts';

/**
 * All functions twice, two gateways, the local Mesos' master, Flink's driver, ZooKeeper and NATS
 * under one seeded clock, with faults. DREY_SEEDS says how many seeds; the full form takes 1000.
 */
const full = process.env.DREY_FULL === '1';
const seeds = Number(process.env.DREY_SEEDS ?? (full ? 1000 : 30));
const seedsPerVariant = 200;
const timelineLines = 150;

test('simulation: every law holds whatever strikes', async (t) => {
  const began = performance.now();
  const outcomes: Outcome[] = [];
  for (let seed = 1; seed <= seeds; seed += 1) {
    const outcome = await simulate(String(seed));
    outcomes.push(outcome);
    assert.equal(outcome.violations.length, 0, `\n${report(outcome, timelineLines)}`);
  }
  t.diagnostic(summary(outcomes, (performance.now() - began) / 1000));
});

test('simulation: one seed is one history, to the last byte', async () => {
  const first = await simulate('twice');
  const second = await simulate('twice');
  assert.equal(first.digest, second.digest);
  assert.notEqual(first.digest, (await simulate('other')).digest);
});

for (const [name, variant] of Object.entries(variants)) {
  test(`simulation: the laws catch a wrong variant: ${name}`, async (t) => {
    for (let seed = 1; seed <= seedsPerVariant; seed += 1) {
      const [broken] = (await simulate(String(seed), variant)).violations;
      if (broken === undefined) continue;
      t.diagnostic(`caught by seed ${seed}: ${broken.law}: ${broken.what}`);
      return;
    }
    assert.fail(`${seedsPerVariant} seeds did not catch it`);
  });
}
