import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  NoResponderError,
  RequestTimeoutError,
  StaleRecordError,
  StoreOutcomeUnknownError,
  StoreUnavailableError,
} from '#runtime/errors.ts';
import { SimBus } from './world/bus/connection.ts';
import { BusServer } from './world/bus/server.ts';
import { History } from './world/history.ts';
import { Life, type World } from './world/life.ts';
import { Random } from './world/random.ts';
import { Ensemble } from './world/store/ensemble.ts';
import { SimStore } from './world/store/session.ts';
import { VirtualTime } from './world/time.ts';
import { calmBus, calmStore } from './world/weather.ts';

function worldOf(seed: string): World {
  const time = new VirtualTime(1_700_000_000_000);
  return { time, random: new Random(seed), history: new History(time) };
}

/** Runs the promise to its end in virtual time. */
async function finish<T>(world: World, promise: Promise<T>, withinMs = 60_000): Promise<T> {
  let done = false;
  const watched = promise.finally(() => {
    done = true;
  });
  watched.catch(() => undefined);
  await world.time.run(world.time.now() + withinMs, () => done);
  assert.ok(done, 'still waiting when the time was up');
  return watched;
}

const text = (data: Uint8Array) => new TextDecoder().decode(data);
const bytes = (data: string) => new TextEncoder().encode(data);

test('simulation: a transaction is applied whole or not at all, at the versions it names', async () => {
  const world = worldOf('whole');
  const ensemble = new Ensemble(world, calmStore());
  const store = new SimStore(ensemble, new Life(world, 'a'));
  await finish(world, store.commit([{ kind: 'create', path: '/x', data: '0' }]));
  const both = [
    { kind: 'create', path: '/y', data: '1' },
    { kind: 'set', path: '/x', data: '1', version: 7 },
  ] as const;
  await assert.rejects(finish(world, store.commit(both)), StaleRecordError);
  assert.equal(await finish(world, store.read('/y')), undefined);
  await finish(world, store.commit([{ kind: 'set', path: '/x', data: '1', version: 0 }]));
  assert.deepEqual(await finish(world, store.read('/x')), { path: '/x', data: '1', version: 1 });
});

test('simulation: a session sees its own writes, another server may be behind but never goes back', async () => {
  let behind = 0;
  for (let seed = 0; seed < 40; seed += 1) {
    const world = worldOf(`lag-${seed}`);
    const ensemble = new Ensemble(world, { latencyMs: 0.5, agreeMs: 2, lagMs: [0.1, 40, 40] });
    const writer = new SimStore(ensemble, new Life(world, 'writer'));
    const reader = new SimStore(ensemble, new Life(world, 'reader'));
    await finish(world, writer.commit([{ kind: 'create', path: '/x', data: '0' }]));
    assert.equal((await finish(world, writer.read('/x')))?.data, '0');
    if ((await finish(world, reader.read('/x'))) === undefined) behind += 1;
    await finish(world, reader.commit([{ kind: 'check', path: '/', version: 0 }]));
    assert.equal((await finish(world, reader.read('/x')))?.data, '0', 'the barrier must catch up');
    reader.cut(1);
    await world.time.run(world.time.now() + 2000);
    assert.equal((await finish(world, reader.read('/x')))?.data, '0', 'never back in time');
  }
  assert.ok(behind > 3 && behind < 37, `${behind} of 40 readers were behind`);
});

test('simulation: a write in doubt was applied in some seeds and not in others', async () => {
  const applied = new Set<boolean>();
  for (let seed = 0; seed < 30; seed += 1) {
    const world = worldOf(`doubt-${seed}`);
    const ensemble = new Ensemble(world, calmStore());
    const store = new SimStore(ensemble, new Life(world, 'a'));
    ensemble.weather.latencyMs = 10;
    const write = store.commit([{ kind: 'create', path: '/x', data: '' }]);
    write.catch(() => undefined);
    world.time.after(world.random.span(0, 3), () => store.cut(100));
    await assert.rejects(finish(world, write), StoreOutcomeUnknownError);
    await assert.rejects(finish(world, store.read('/x')), StoreUnavailableError);
    await world.time.run(world.time.now() + 1000);
    applied.add((await finish(world, store.read('/x'))) !== undefined);
  }
  assert.equal(applied.size, 2);
});

test('simulation: an expired session loses its ephemerals and watches, and says so', async () => {
  const world = worldOf('expiry');
  const ensemble = new Ensemble(world, calmStore());
  const holder = new SimStore(ensemble, new Life(world, 'holder'));
  const other = new SimStore(ensemble, new Life(world, 'other'));
  const states: string[] = [];
  holder.onSession((state) => states.push(state));
  const path = await finish(world, holder.createEphemeralSequential('/lock-', 'me'));
  assert.equal(path, '/lock-0000000000');
  await world.time.run(world.time.now() + 100);
  let gone = 0;
  await finish(
    world,
    other.watch(path, () => (gone += 1)),
  );
  holder.cut(15_000);
  await world.time.run(world.time.now() + 30_000);
  assert.deepEqual(states, ['suspended', 'expired', 'connected']);
  assert.equal(gone, 1);
  assert.deepEqual(await finish(world, other.list('/')), []);
});

test('simulation: a message goes to one of each queue group, and to nobody is an error', async () => {
  const world = worldOf('queue');
  const server = new BusServer(world, calmBus());
  const heard: string[] = [];
  for (const name of ['a', 'b', 'c']) {
    const bus = new SimBus(server, new Life(world, name));
    const queue = name === 'c' ? undefined : 'group';
    bus.subscribe('x.*', queue, (message) => {
      heard.push(name === 'c' ? 'all' : 'one');
      if (message.reply !== undefined && name !== 'c') bus.publish(message.reply, bytes('yes'));
    });
  }
  const asker = new SimBus(server, new Life(world, 'asker'));
  await world.time.run(world.time.now() + 100);
  const answer = await finish(world, asker.request('x.y', bytes('?'), { timeoutMs: 1000 }));
  assert.equal(text(answer.data), 'yes');
  await world.time.run(world.time.now() + 100);
  assert.deepEqual(heard.sort(), ['all', 'one']);
  const nobody = asker.request('y', bytes('?'), { timeoutMs: 1000 });
  await assert.rejects(finish(world, nobody), NoResponderError);
});

test('simulation: a request whose taker dies before it answers ends by its time-out', async () => {
  const world = worldOf('taker');
  const server = new BusServer(world, calmBus());
  const taker = new Life(world, 'taker');
  const bus = new SimBus(server, taker);
  bus.subscribe('x', 'group', (message) => {
    bus.publish(message.reply ?? '', bytes('late'));
  });
  taker.dieAt(1, 'before');
  const asker = new SimBus(server, new Life(world, 'asker'));
  await world.time.run(world.time.now() + 100);
  const request = asker.request('x', bytes('?'), { timeoutMs: 1000 });
  await assert.rejects(finish(world, request), RequestTimeoutError);
  assert.equal(taker.alive, false);
});

test('simulation: a stored command comes again until it is acknowledged, one at a time', async () => {
  const world = worldOf('stream');
  const server = new BusServer(world, calmBus());
  const seen: string[] = [];
  const options = { name: 'S', subjects: ['admin.*'], retention: 'workqueue' as const };
  const limits = { maxBytes: 1e6, maxAgeMs: 1e9 };
  const writer = new SimBus(server, new Life(world, 'writer'));
  await finish(world, writer.ensureStream({ ...options, ...limits }));
  assert.equal(await finish(world, writer.append('admin.scale', bytes('3'))), 1);
  assert.equal(await finish(world, writer.append('admin.stop', bytes('4'))), 2);
  const reader = new SimBus(server, new Life(world, 'reader'));
  const consume = { maxPending: 1, ackWaitMs: 1000 };
  const taking = reader.consume('S', 'd', consume, (message) => {
    seen.push(`${message.sequence}/${message.deliveries}`);
    if (message.deliveries > 1) message.ack();
  });
  await finish(world, taking);
  await world.time.run(world.time.now() + 10_000);
  assert.deepEqual(seen, ['1/1', '1/2', '2/1', '2/2']);
});

test('simulation: one seed has one history, another seed another', async () => {
  const digests: string[] = [];
  for (const seed of ['one', 'one', 'two']) {
    const world = worldOf(seed);
    const ensemble = new Ensemble(world, calmStore());
    const server = new BusServer(world, { ...calmBus(), lossChance: 0.2, doubleChance: 0.2 });
    const lives = ['a', 'b'].map((name) => new Life(world, name));
    for (const life of lives) {
      const bus = new SimBus(server, life);
      const store = new SimStore(ensemble, life);
      bus.subscribe('x', 'q', (message) => {
        store
          .commit([{ kind: 'create', path: `/${text(message.data)}`, data: life.name }])
          .catch(() => undefined);
      });
      for (let n = 0; n < 20; n += 1) {
        life.clock.after(life.random.span(0, 50), () => bus.publish('x', bytes(`${n}`)));
      }
    }
    await world.time.run(world.time.now() + 5000);
    digests.push(world.history.digest());
  }
  assert.equal(digests[0], digests[1]);
  assert.notEqual(digests[0], digests[2]);
});
