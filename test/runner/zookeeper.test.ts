import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '#runtime/clock.ts';
import type { Store } from '#runtime/store/store.ts';
import { connectStore } from '#runtime/store/zookeeper.ts';
import { until } from '#test/world/until.ts';
import { startZooKeeper, type ZooKeeperWorld } from '#test/world/zookeeper.ts';
import { barrierPath, countIn, counting, ground, start } from './world.ts';

const at = ground();
let zookeeper: ZooKeeperWorld;
const stores: Store[] = [];

before(async () => {
  zookeeper = await startZooKeeper();
});

after(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await zookeeper.stop();
});

async function connect(): Promise<Store> {
  const servers = zookeeper.servers;
  const store = await connectStore({ servers, sessionTimeoutMs: 4000, clock: systemClock });
  stores.push(store);
  return store;
}

test('runner: copies on a real ZooKeeper count every event once, through a kill of it', async (t) => {
  const performed: string[] = [];
  const definition = counting(async (id) => {
    performed.push(id);
    return [];
  });
  const store = await connect();
  await store.ensure(barrierPath);
  const one = await start(at(), definition, store);
  const two = await start(at(), definition, await connect());
  const ids = Array.from({ length: 500 }, (_, n) => `n${n}`);
  // As every sender does: ask again until answered.
  const insist = (id: string) =>
    until(() => one.ask({ kind: 'add', id }, 2000).then(() => true), {
      deadlineMs: 50_000,
      what: `${id} is answered`,
    });
  const began = performance.now();
  const answered = Promise.all(ids.slice(0, 250).map(insist));
  await until(async () => (await countIn(store)) > 20, { deadlineMs: 20_000, what: 'it counts' });
  await zookeeper.kill(0);
  const later = Promise.all(ids.slice(250).map(insist));
  await zookeeper.restart(0);
  await Promise.all([answered, later]);
  t.diagnostic(`500 events in ${Math.round(performance.now() - began)} ms`);
  assert.equal(await countIn(store), 500);
  assert.deepEqual(performed.toSorted(), ids.toSorted());
  await one.running.stop();
  await two.running.stop();
});
