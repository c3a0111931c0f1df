import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lateness } from '#runtime/run/lateness.ts';
import { until } from '#test/world/until.ts';
import { MemoryStore } from './memory-store.ts';
import { type CountEvent, counting, ground, start } from './world.ts';

const at = ground();
const years = 50 * 365 * 86_400_000;
/** A message of gateway g in term 1 that was said so long after the first. */
const said = (ms: number, by = 'g', term = 1) => ({ by, at: years + ms, term });

test('lateness: a message is as late as it was longer on its way than the quickest', () => {
  const lateness = new Lateness();
  assert.equal(lateness.of(said(0), 100), 0);
  assert.equal(lateness.of(said(1000), 1090), 0, 'quicker than ever');
  assert.equal(Math.round(lateness.of(said(2000), 2590)), 499);
  assert.equal(Math.round(lateness.of(said(3000), 8090)), 4993);
});

test('lateness: after a freeze only the newest of what has waited says something', () => {
  const lateness = new Lateness();
  assert.equal(lateness.of(said(0), 0), 0);
  const late = Array.from({ length: 30 }, (_, n) => lateness.of(said(1000 * (n + 1)), 30_100));
  assert.deepEqual(
    late.map((ms) => ms <= 2000),
    late.map((_, n) => n >= 28),
  );
});

test('lateness: the clocks of two hosts may drift apart for ever', () => {
  const lateness = new Lateness();
  for (let n = 0; n < 100_000; n++) {
    assert.ok(lateness.of(said(1000 * n), 1000.9 * n) < 1, `after ${n} s`);
  }
});

test('lateness: a clock that is set forward changes nothing, one that is set back ten seconds', () => {
  const lateness = new Lateness();
  const hour = 3_600_000;
  lateness.of(said(0), 0);
  assert.equal(lateness.of(said(1000 + hour), 1000), 0);
  const late = Array.from({ length: 15 }, (_, n) =>
    lateness.of(said(2000 + 1000 * n), 2000 + 1000 * n),
  );
  assert.deepEqual(
    late.map((ms) => ms > 2000),
    late.map((_, n) => n < 10),
  );
});

test('lateness: what was said in a term that is over is never in time, another sender has its own clock', () => {
  const lateness = new Lateness();
  lateness.of(said(0, 'a', 3), 0);
  assert.equal(lateness.of(said(-years, 'b', 4), 1000), 0);
  assert.equal(lateness.of(said(1001, 'a', 3), 1001), Number.POSITIVE_INFINITY);
  lateness.of(said(-years + 1000, 'b', 4), 2000);
  assert.equal(
    lateness.of(said(-years + 1500, 'b', 5), 7500),
    5000 - 5.5,
    'known in the next term',
  );
});

test('lateness: a counter of terms that was set back is believed after ten seconds, and told of', () => {
  const forgotten: number[][] = [];
  const lateness = new Lateness((was, now) => forgotten.push([was, now]));
  lateness.of(said(0, 'a', 7), 0);
  const late = Array.from({ length: 15 }, (_, n) =>
    lateness.of(said(1000 * (n + 1), 'b', 1), 1000 * (n + 1)),
  );
  assert.deepEqual(
    late.map((ms) => ms > 2000),
    late.map((_, n) => n < 10),
  );
  assert.deepEqual(forgotten, [[7, 1]]);
});

test('lateness: a lower term beside the present one is never believed', () => {
  const lateness = new Lateness((was, now) => assert.fail(`forgot ${was} for ${now}`));
  for (let n = 0; n < 100; n++) {
    assert.equal(lateness.of(said(1000 * n, 'a', 7), 1000 * n), 0);
    const old = lateness.of(said(1000 * n, 'b', 6), 1000 * n + 500);
    assert.equal(old, Number.POSITIVE_INFINITY);
  }
});

test('runner: a message that was under way for more than two seconds is dropped, and counted', async () => {
  const definition = counting();
  const [, hint] = definition.hears;
  assert.ok(hint?.transport === 'queue');
  const hears = { ...hint, said: ({ id }: CountEvent) => said(Number(id)) };
  const { running, bus, decisions } = await start(
    at(),
    { ...definition, hears: [hears] },
    new MemoryStore(),
  );
  const say = (id: string): boolean =>
    bus.publish('count.hint', new TextEncoder().encode(JSON.stringify({ kind: 'add', id })));
  // All come at once: the second was said five seconds before the first.
  for (const id of ['10000', '5000', '9000']) say(id);
  await until(() => decisions.flatMap(({ effects }) => effects).length === 2, {
    deadlineMs: 10_000,
    what: 'two are counted',
  });
  assert.deepEqual(
    decisions.flatMap(({ effects }) => effects),
    ['performed 10000', 'performed 9000'],
  );
  assert.equal(running.dropped(), 1);
  await running.stop();
});
