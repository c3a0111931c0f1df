import assert from 'node:assert/strict';
import { after, before, mock, test } from 'node:test';
import { systemClock } from '#runtime/clock.ts';
import { elect } from '#runtime/store/election.ts';
import type { Store } from '#runtime/store/store.ts';
import { until } from '#test/world/until.ts';
import { startZooKeeper, type ZooKeeperWorld } from '#test/world/zookeeper.ts';
import { closeStores, open, reaches, statesOf } from './open.ts';

const sessionTimeoutMs = 6000;
let world: ZooKeeperWorld;

before(async () => {
  world = await startZooKeeper({ servers: 3 });
});
after(async () => {
  await closeStores();
  await world.stop();
});

/** Connects to the servers in the order of the list, which is shuffled by Math.random otherwise. */
async function openInOrder(servers: string): Promise<Store> {
  let number = 0;
  mock.method(Math, 'random', () => {
    number += 0.0001;
    return number;
  });
  try {
    return await open(servers, { sessionTimeoutMs });
  } finally {
    mock.restoreAll();
  }
}

test('store: when its server freezes, the session moves to another with its ephemerals', async () => {
  const store = await openInOrder(world.servers);
  await store.ensure('/moves');
  const path = await store.createEphemeralSequential('/moves/e-', 'mine');
  const states = statesOf(store);
  world.freeze(0);
  const began = performance.now();
  await until(() => states.includes('connected'), { deadlineMs: 20_000, what: 'moved' });
  const movedMs = Math.round(performance.now() - began);
  assert.deepEqual(states, ['suspended', 'connected'], `after ${movedMs} ms`);
  assert.equal((await store.read(path))?.data, 'mine');
  world.thaw(0);
  await store.close();
});

test('store: without a quorum the leader steps down, and one leads when it is back', async () => {
  const store = await open(world.servers, { sessionTimeoutMs });
  const told: string[] = [];
  const candidate = await elect({
    store,
    clock: systemClock,
    path: '/quorum',
    data: 'a',
    onLead: () => told.push('lead'),
    onLose: () => told.push('lose'),
  });
  await until(() => candidate.leads, { deadlineMs: 10_000, what: 'a leads' });
  await Promise.all([world.kill(1), world.kill(2)]);
  await until(() => !candidate.leads, { deadlineMs: 20_000, what: 'a steps down' });
  await assert.rejects(store.commit([{ kind: 'create', path: '/quorum/x', data: '' }]));
  await Promise.all([world.restart(1), world.restart(2)]);
  await reaches(store, 'connected');
  await until(() => candidate.leads, { deadlineMs: 30_000, what: 'a leads again' });
  assert.deepEqual(told, ['lead', 'lose', 'lead']);
  await candidate.resign();
  await store.close();
});
