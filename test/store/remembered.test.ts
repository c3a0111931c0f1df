import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Clock } from '#runtime/clock.ts';
import { systemClock } from '#runtime/clock.ts';
import { rememberReads } from '#runtime/store/remembered.ts';
import type { Store } from '#runtime/store/store.ts';
import { until } from '#test/world/until.ts';
import { startZooKeeper, type ZooKeeperWorld } from '#test/world/zookeeper.ts';
import { closeStores, open, reaches } from './open.ts';

let world: ZooKeeperWorld;

before(async () => {
  world = await startZooKeeper();
});
after(async () => {
  await closeStores();
  await world.stop();
});

const node = '/r/node';
const absent = '/r/absent';
const folder = '/r/folder';
const what = { nodes: [node, absent], folders: [folder] };

interface Remembering {
  readonly store: Store;
  /** The reads that were asked of ZooKeeper. */
  readonly asked: string[];
}

async function remembering(clock: Clock = systemClock): Promise<Remembering> {
  const real = await open(world.servers);
  for (const path of [node, folder]) await real.ensure(path);
  const asked: string[] = [];
  const noting =
    <A extends [string, ...unknown[]], T>(call: (...args: A) => T) =>
    (...args: A): T => {
      asked.push(args[0]);
      return call(...args);
    };
  const store = new Proxy(real, {
    get: (target, name: keyof Store) => {
      const value = target[name];
      if (typeof value !== 'function') return value;
      const call = (value as (...args: [string]) => unknown).bind(target);
      return ['read', 'list', 'follow', 'followList'].includes(name) ? noting(call) : call;
    },
  });
  return { store: rememberReads(store, clock, what), asked };
}

async function write(store: Store, data: string): Promise<void> {
  const read = await store.read(node);
  await store.commit([{ kind: 'set', path: node, data, version: read?.version ?? 0 }]);
}

test('store: what is remembered is asked for once, whoever asks, and parsed from one object', async () => {
  const { store, asked } = await remembering();
  const both = await Promise.all([store.read(node), store.read(node)]);
  assert.equal(both[0], both[1]);
  assert.equal(await store.read(node), both[0]);
  assert.deepEqual(await store.list(folder), await store.list(folder));
  assert.equal(await store.read(absent), undefined);
  assert.equal(await store.read(absent), undefined);
  assert.deepEqual(asked, [node, folder, absent]);
  await store.read('/r/other');
  await store.read('/r/other');
  assert.deepEqual(asked.slice(3), ['/r/other', '/r/other'], 'any other path is read each time');
});

test('store: one sees what one has written oneself, each time', async () => {
  const { store } = await remembering();
  for (let n = 0; n < 200; n++) {
    await write(store, `own ${n}`);
    assert.equal((await store.read(node))?.data, `own ${n}`);
    await store.commit([{ kind: 'create', path: `${folder}/c${n}`, data: '' }]);
    assert.ok((await store.list(folder)).includes(`c${n}`));
    await store.commit([{ kind: 'remove', path: `${folder}/c${n}`, version: 0 }]);
    assert.deepEqual(await store.list(folder), []);
  }
});

test('store: one sees the node one has made while its place was being looked at', async () => {
  const { store } = await remembering();
  for (let n = 0; n < 200; n++) {
    const before = store.read(absent);
    await store.commit([{ kind: 'create', path: absent, data: '' }]);
    assert.equal((await store.read(absent))?.version, 0, `the ${n}th time`);
    await before;
    await store.commit([{ kind: 'remove', path: absent, version: 0 }]);
    assert.equal(await store.read(absent), undefined, 'its removal is told');
    await store.commit([{ kind: 'create', path: absent, data: '' }]);
    assert.equal((await store.read(absent))?.version, 0, 'and its next making');
    await store.commit([{ kind: 'remove', path: absent, version: 0 }]);
  }
});

test('store: after a check-only transaction one sees what others had written before it', async () => {
  const { store } = await remembering();
  const other = await open(world.servers);
  for (let n = 0; n < 200; n++) {
    assert.ok(await store.read(node));
    await write(other, `other ${n}`);
    await other.commit([{ kind: 'create', path: absent, data: '' }]);
    await store.commit([{ kind: 'check', path: folder, version: 0 }]);
    assert.equal((await store.read(node))?.data, `other ${n}`);
    assert.equal((await store.read(absent))?.version, 0, 'a node that was not there');
    await other.commit([{ kind: 'remove', path: absent, version: 0 }]);
    await store.commit([{ kind: 'check', path: folder, version: 0 }]);
    assert.equal(await store.read(absent), undefined);
  }
});

test('store: what is remembered ends with its connection', async () => {
  const { store, asked } = await remembering();
  const other = await open(world.servers);
  await store.read(node);
  await store.list(folder);
  await world.restart(0);
  await reaches(other, 'connected');
  await reaches(store, 'connected');
  asked.length = 0;
  await store.read(node);
  await store.list(folder);
  assert.deepEqual(asked, [node, folder]);
  await write(other, 'after the restart');
  await until(async () => (await store.read(node))?.data === 'after the restart', {
    deadlineMs: 10_000,
    what: 'the change is told on the new connection',
  });
});

test('store: what is remembered is asked for again after 10 s, and its change is told all the same', async () => {
  let now = 0;
  const { store, asked } = await remembering({ ...systemClock, elapsed: () => now });
  const other = await open(world.servers);
  await store.read(node);
  now = 9_999;
  await store.read(node);
  assert.deepEqual(asked, [node]);
  now = 10_000;
  await store.read(node);
  assert.deepEqual(asked, [node, node]);
  await write(other, 'later');
  await store.commit([{ kind: 'check', path: folder, version: 0 }]);
  assert.equal((await store.read(node))?.data, 'later');
});

test('store: a reading that fails is not remembered', async () => {
  const { store } = await remembering();
  world.freeze(0);
  await reaches(store, 'suspended');
  await assert.rejects(store.read(node));
  await assert.rejects(store.list(folder));
  world.thaw(0);
  await reaches(store, 'connected');
  assert.ok(await store.read(node));
  assert.deepEqual(await store.list(folder), []);
});
