import assert from 'node:assert/strict';
import { after, before, mock, test } from 'node:test';
import type { StoreOp } from '#runtime/store/store.ts';
import { type Relay, startRelay } from '#test/world/relay.ts';
import { until } from '#test/world/until.ts';
import { startZooKeeper, type ZooKeeperWorld } from '#test/world/zookeeper.ts';
import { blockEventLoop, closeStores, open, reaches, sessionTimeoutMs, statesOf } from './open.ts';

let world: ZooKeeperWorld;
let relay: Relay;

before(async () => {
  world = await startZooKeeper();
  relay = await startRelay(world.addresses[0] ?? '');
});
after(async () => {
  await closeStores();
  await relay.close();
  await world.stop();
});

/** Two thirds of the session. */
const noticedWithinMs = (sessionTimeoutMs * 2) / 3;
const slackMs = 700;

function create(path: string, data = ''): StoreOp {
  return { kind: 'create', path, data };
}

async function failureOf(call: Promise<unknown>): Promise<{ code?: string; applied?: string }> {
  return call.then(
    () => ({}),
    (error) => error,
  );
}

test('store: a frozen server is noticed before the session ends, and calls do not hang', async () => {
  const store = await open(world.servers);
  const states = statesOf(store);
  await store.ensure('/frozen');
  world.freeze(0);
  const began = performance.now();
  const calls = [failureOf(store.read('/frozen')), failureOf(store.commit([create('/frozen/a')]))];
  const [read, write] = await Promise.all(calls);
  const tookMs = performance.now() - began;
  world.thaw(0);
  assert.ok(tookMs < noticedWithinMs + slackMs, `noticed after ${Math.round(tookMs)} ms`);
  assert.deepEqual([read?.code, read?.applied], ['DREY_STORE_UNAVAILABLE', 'no']);
  assert.deepEqual([write?.code, write?.applied], ['DREY_STORE_OUTCOME_UNKNOWN', 'unknown']);
  await reaches(store, 'connected');
  assert.equal(states[0], 'suspended');
  await store.close();
});

test('store: a write whose answer is lost may have been applied, and says so', async () => {
  const store = await open(relay.address);
  await store.ensure('/doubt');
  relay.holdAnswers();
  const write = failureOf(store.commit([create('/doubt/a', 'op-1')]));
  const made = failureOf(store.createEphemeralSequential('/doubt/e-', 'op-2'));
  assert.equal((await write).code, 'DREY_STORE_OUTCOME_UNKNOWN');
  assert.equal((await made).code, 'DREY_STORE_OUTCOME_UNKNOWN');
  relay.release();
  await reaches(store, 'connected');
  assert.equal((await store.read('/doubt/a'))?.data, 'op-1');
  // Exactly one: a repeated create would have made two.
  assert.equal((await store.list('/doubt')).filter((name) => name.startsWith('e-')).length, 1);
  await store.close();
});

test('store: a call without a connection is refused at once and never sent later', async () => {
  const store = await open(world.servers);
  await store.ensure('/refused');
  await world.kill(0);
  await reaches(store, 'suspended');
  const began = performance.now();
  for (const call of [
    store.commit([create('/refused/a')]),
    store.createEphemeralSequential('/refused/e-', ''),
    store.discard('/refused'),
    store.read('/refused'),
  ]) {
    assert.deepEqual(await failureOf(call).then(({ code, applied }) => [code, applied]), [
      'DREY_STORE_UNAVAILABLE',
      'no',
    ]);
  }
  assert.ok(performance.now() - began < 2000, 'none waited for its deadline');
  await world.restart(0);
  await reaches(store, 'connected');
  assert.deepEqual(await store.list('/refused'), []);
  await store.close();
});

test('store: session, ephemeral node and watch outlive the restart of a server', async () => {
  // The longest session that the server grants: a busy machine starts it slowly.
  const store = await open(world.servers, { sessionTimeoutMs: 10_000 });
  await store.ensure('/restart');
  const path = await store.createEphemeralSequential('/restart/e-', 'mine');
  const told: string[] = [];
  await store.watch(path, () => told.push('node'));
  await store.watch('/restart/none', () => told.push('place'));
  const states = statesOf(store);
  await world.restart(0);
  await until(() => states.includes('connected'), { deadlineMs: 10_000, what: 'reconnected' });
  assert.deepEqual(states, ['suspended', 'connected']);
  assert.equal((await store.read(path))?.data, 'mine');
  assert.deepEqual(told, []);
  await store.commit([create('/restart/none')]);
  await store.discard(path);
  await until(() => told.length >= 2, { deadlineMs: 5000, what: 'both watches told' });
  assert.deepEqual(told, ['place', 'node']);
  await store.close();
});

test('store: a change that happened while the connection was away is told by the watch', async () => {
  const store = await open(relay.address);
  const other = await open(world.servers);
  await store.ensure('/missed/gone');
  await store.ensure('/missed/changed');
  const told = new Set<string>();
  await store.watch('/missed/gone', () => told.add('gone'));
  await store.watch('/missed/changed', () => told.add('changed'));
  await store.watch('/missed/made', () => told.add('made'));
  await store.watch('/missed', () => told.add('same'));
  relay.hold();
  relay.cut();
  await other.commit([
    { kind: 'remove', path: '/missed/gone', version: 0 },
    { kind: 'set', path: '/missed/changed', data: '', version: 0 },
    create('/missed/made'),
  ]);
  relay.release();
  await until(() => told.size >= 3, { deadlineMs: 10_000, what: 'three changes told' });
  assert.deepEqual([...told].sort(), ['changed', 'gone', 'made']);
  await other.close();
  await store.close();
});

test('store: after a blocked event loop a new session begins by itself', async () => {
  const shortMs = sessionTimeoutMs / 2;
  const store = await open(world.servers, { sessionTimeoutMs: shortMs });
  await store.ensure('/blocked');
  const path = await store.createEphemeralSequential('/blocked/e-', 'old');
  let watchTold = false;
  // Of a node that stays as it is.
  await store.watch('/blocked', () => {
    watchTold = true;
  });
  const states = statesOf(store);
  blockEventLoop(shortMs * 2);
  await until(() => states.includes('connected'), { deadlineMs: 10_000, what: 'a new session' });
  assert.deepEqual(states.slice(-2), ['expired', 'connected']);
  assert.ok(watchTold, 'a watch is told of the expiry');
  assert.equal(await store.read(path), undefined);
  await store.commit([create('/blocked/a')]);
  // The new session is as good as the first: it is kept alive, and it expires in its turn.
  const second = await store.createEphemeralSequential('/blocked/e-', 'new');
  blockEventLoop(shortMs * 2);
  await until(() => states.filter((state) => state === 'expired').length >= 2, {
    deadlineMs: 10_000,
    what: 'the second expiry',
  });
  await reaches(store, 'connected');
  assert.equal(await store.read(second), undefined);
  await store.close();
});

test('store: an event loop blocked for less than the session costs nothing', async () => {
  const store = await open(world.servers);
  const states = statesOf(store);
  await store.read('/');
  // Longer than the silence that cuts a connection.
  blockEventLoop(sessionTimeoutMs * 0.7);
  await store.read('/');
  assert.deepEqual(states, []);
  await store.close();
});

test('store: the first server of the list is frozen, the second is used', async (t) => {
  const second = await startZooKeeper();
  t.after(() => second.stop());
  // The list is shuffled by Math.random; rising numbers leave it in order.
  let number = 0;
  mock.method(Math, 'random', () => {
    number += 0.0001;
    return number;
  });
  world.freeze(0);
  const began = performance.now();
  try {
    const store = await open(`${world.servers},${second.servers}`, { connectTimeoutMs: 8000 });
    const tookMs = performance.now() - began;
    await store.ensure('/second');
    await store.close();
    // One third of the session for each of two servers, and one beat.
    assert.ok(tookMs > 500, 'the frozen one was tried first');
    assert.ok(tookMs < sessionTimeoutMs / 2 + slackMs, `connected after ${Math.round(tookMs)} ms`);
  } finally {
    mock.restoreAll();
    world.thaw(0);
  }
});

test('store: a broken answer does not spoil the next connection', async () => {
  const store = await open(relay.address);
  await store.ensure('/broken');
  await store.commit([create('/broken/large', 'x'.repeat(400_000))]);
  const states = statesOf(store);
  relay.cutAfterAnswerBytes(100_000);
  assert.equal((await failureOf(store.read('/broken/large'))).code, 'DREY_STORE_UNAVAILABLE');
  await until(() => states.includes('connected'), { deadlineMs: 5000, what: 'reconnected' });
  assert.equal((await store.read('/broken/large'))?.data.length, 400_000);
  assert.deepEqual(states, ['suspended', 'connected']);
  await store.close();
});

test('store: a connection on which nothing is asked for stays', async () => {
  const store = await open(world.servers);
  const states = statesOf(store);
  const contact = store.lastContact;
  await until(() => store.lastContact > contact + sessionTimeoutMs, {
    deadlineMs: 3 * sessionTimeoutMs,
    what: 'heartbeats through more than a session',
  });
  assert.deepEqual(states, []);
  await store.close();
});

test('store: an answer counts as contact from when its question was asked', async () => {
  const store = await open(relay.address);
  relay.holdAnswers();
  const askedAt = Date.now();
  const read = store.read('/');
  const heldMs = sessionTimeoutMs / 3;
  await until(() => Date.now() > askedAt + heldMs, { deadlineMs: 5000, what: 'a while' });
  relay.release();
  await read;
  // A heartbeat of one beat later may have been answered too.
  assert.ok(store.lastContact < askedAt + heldMs / 2, `${store.lastContact - askedAt} ms`);
  await store.close();
});

test('store: the last contact is not newer than what the server has seen', async () => {
  const store = await open(relay.address);
  const before = performance.now();
  await store.read('/');
  assert.ok(store.lastContact >= before);
  relay.holdAnswers();
  const heldAt = performance.now();
  await reaches(store, 'suspended');
  assert.ok(store.lastContact <= heldAt, 'an unanswered heartbeat is no contact');
  relay.release();
  await reaches(store, 'connected');
  assert.ok(store.lastContact > heldAt);
  await store.close();
});

test('store: where no server answers, the error names the servers and why', async () => {
  const began = performance.now();
  const [, port] = world.servers.split(':');
  await world.kill(0);
  await assert.rejects(open(world.servers, { connectTimeoutMs: 1000 }), {
    code: 'DREY_STORE_UNAVAILABLE',
    message: new RegExp(`127\\.0\\.0\\.1:${port} within 1000 ms \\(last: .*ECONNREFUSED`),
  });
  assert.ok(performance.now() - began < 15_000, 'it does not wait for the usual 30 s');
  await world.restart(0);
});

test('store: a server that comes later is waited for', async () => {
  await world.kill(0);
  const opening = open(world.servers);
  await world.restart(0);
  const store = await opening;
  assert.equal(store.session, 'connected');
  await store.close();
});

test('store: closing ends the session at once, and nothing passes any more', async () => {
  const store = await open(world.servers);
  const other = await open(world.servers);
  await store.ensure('/closing');
  await store.createEphemeralSequential('/closing/e-', '');
  await store.close();
  assert.deepEqual(await other.list('/closing'), []);
  assert.deepEqual(
    await failureOf(store.read('/closing')).then((error) => error.code),
    'DREY_STORE_UNAVAILABLE',
  );
  await store.close();
  await other.close();
});

test('store: closing does not wait for a frozen server', async () => {
  const store = await open(world.servers);
  world.freeze(0);
  const began = performance.now();
  const call = failureOf(store.commit([create('/closing/never')]));
  await store.close();
  assert.ok(performance.now() - began < sessionTimeoutMs / 2);
  assert.equal((await call).code, 'DREY_STORE_OUTCOME_UNKNOWN');
  world.thaw(0);
});

test('store: an unwell formed list of servers is refused', async () => {
  for (const servers of ['', 'host:port', 'a b', 'http://a:1', '::1']) {
    await assert.rejects(open(servers), RangeError);
  }
  await assert.rejects(open('a:1', { chroot: 'x' }), RangeError);
});
