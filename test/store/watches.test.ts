import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { inParallel } from '#runtime/store/parallel.ts';
import type { StoreOp } from '#runtime/store/store.ts';
import { until } from '#test/world/until.ts';
import { startZooKeeper, type ZooKeeperWorld } from '#test/world/zookeeper.ts';
import { closeStores, open, statesOf } from './open.ts';

/**
 * From about 20,000 watches on paths of this length their packet passes the server's limit of 1 MiB.
 * The quick form brings that limit down instead: 1,500 such paths against 64 KiB.
 */
const full = process.env.DREY_FULL === '1';
const count = full ? 21_000 : 1500;
const properties: Record<string, string> = full ? {} : { 'jute.maxbuffer': '65536' };

let world: ZooKeeperWorld;

before(async () => {
  world = await startZooKeeper({ properties });
});
after(async () => {
  await closeStores();
  await world.stop();
});

test(`store: ${count} watches survive a restart of the server`, async () => {
  const store = await open(world.servers, { sessionTimeoutMs: 10_000 });
  await store.ensure('/watched');
  const paths = Array.from(
    { length: count },
    (_, i) => `/watched/a-path-of-fifty-two-letters-in-all-${String(i).padStart(8, '0')}`,
  );
  assert.equal(paths[0]?.length, 52);
  const batches = Array.from({ length: Math.ceil(count / 200) }, (_, i) =>
    paths.slice(i * 200, (i + 1) * 200),
  );
  await inParallel(batches, 4, (batch) =>
    store.commit(batch.map((path): StoreOp => ({ kind: 'create', path, data: '' }))),
  );
  const told = new Set<string>();
  await inParallel(paths, 512, (path) => store.watch(path, () => told.add(path)));
  const states = statesOf(store);
  await world.restart(0);
  await until(() => states.includes('connected'), { deadlineMs: 15_000, what: 'reconnected' });
  assert.deepEqual(states, ['suspended', 'connected']);
  // The last path: its watch is set again after all others.
  const last = paths.at(-1) ?? '';
  for (const path of [paths[0] ?? '', last]) {
    await store.commit([{ kind: 'set', path, data: 'changed', version: 0 }]);
    await until(() => told.has(path), { deadlineMs: 15_000, what: `the watch on ${path} told` });
  }
  assert.equal(told.size, 2);
  assert.deepEqual(states, ['suspended', 'connected'], 'the connection holds');
  await store.close();
});
