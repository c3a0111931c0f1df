import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batchesOf, runBatches } from './pool.ts';
import { neverReached, wronglyReached } from './possible.ts';
import { reportShrunk, summary, summed, tableOf } from './report.ts';
import { shrink } from './shrink.ts';
import { simulate } from './simulate.ts';
import { variants } from './variants/variants.ts';

/**
 * All functions twice, two gateways, the local Mesos' master, Flink's driver, ZooKeeper and NATS
 * under one seeded clock, with faults. DREY_SEEDS says how many seeds; the full form takes 2000.
 */
const full = process.env.DREY_FULL === '1';
const seeds = Number(process.env.DREY_SEEDS ?? (full ? 2000 : 60));
/** So many seeds reach every possible cell of the table. */
const seedsForTable = 2000;
const seedsPerVariant = 150;
const timelineLines = 150;

test('simulation: every law holds whatever strikes, and every possible cell is reached', async (t) => {
  const began = performance.now();
  const told = (await runBatches(batchesOf(1, seeds))).flat();
  const cells = summed(told.map((one) => one.cells));
  t.diagnostic(summary(told, (performance.now() - began) / 1000));
  t.diagnostic(`\n${tableOf(cells)}`);
  const broken = told.find((one) => one.broken !== undefined);
  if (broken !== undefined) {
    const shrunk = await shrink(await simulate(String(broken.seed)));
    assert.fail(`\n${reportShrunk(shrunk, timelineLines)}`);
  }
  assert.deepEqual(wronglyReached(cells), []);
  const missing = neverReached(cells);
  t.diagnostic(`possible and never reached: ${missing.join(', ') || 'none'}`);
  if (seeds >= seedsForTable) assert.deepEqual(missing, []);
});

test('simulation: one seed is one history, to the last byte', async () => {
  const first = await simulate('twice');
  const second = await simulate('twice');
  assert.equal(first.digest, second.digest);
  assert.notEqual(first.digest, (await simulate('other')).digest);
});

const names = Object.keys(variants);
const caught = Promise.withResolvers<Awaited<ReturnType<typeof runBatches>>>();

test('simulation: wrong variants are searched for', async () => {
  const batches = names.map((variant) => ({
    variant,
    from: 1,
    count: seedsPerVariant,
    untilBroken: true,
  }));
  caught.resolve(await runBatches(batches));
});

for (const [index, name] of names.entries()) {
  test(`simulation: the laws catch a wrong variant: ${name}`, async (t) => {
    const told = (await caught.promise)[index] ?? [];
    const broken = told.at(-1)?.broken;
    t.diagnostic(`${name} | ${told.length} | ${broken?.law}: ${broken?.what}`);
    assert.ok(broken !== undefined, `${seedsPerVariant} seeds did not catch it`);
  });
}
