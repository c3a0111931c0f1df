import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { StoreRefusedError } from '#runtime/errors.ts';
import { mostRecordBytes, mostTransactionBytes } from '#runtime/store/limits.ts';
import type { Store, StoreOp } from '#runtime/store/store.ts';
import { until } from '#test/world/until.ts';
import { startZooKeeper, type ZooKeeperWorld } from '#test/world/zookeeper.ts';
import { closeStores, open } from './open.ts';

let world: ZooKeeperWorld;
let store: Store;
let folders = 0;

before(async () => {
  world = await startZooKeeper({ properties: { 'zookeeper.enforceQuota': 'true' } });
  store = await open(world.servers, { chroot: '/commit/test' });
});
after(async () => {
  await closeStores();
  await world.stop();
});

/** A folder of the test's own. */
async function folder(): Promise<string> {
  folders += 1;
  await store.ensure(`/f${folders}`);
  return `/f${folders}`;
}

const stale = (path: string) => ({ code: 'DREY_STALE_RECORD', path });

test('store: a transaction makes, changes, removes and checks records as one', async () => {
  const at = await folder();
  await store.commit([
    { kind: 'create', path: `${at}/a`, data: 'grün' },
    { kind: 'create', path: `${at}/b`, data: '' },
  ]);
  await store.commit([
    { kind: 'set', path: `${at}/a`, data: '{"x":1}', version: 0 },
    { kind: 'remove', path: `${at}/b`, version: 0 },
    { kind: 'check', path: at, version: 0 },
    { kind: 'create', path: `${at}/c`, data: 'c' },
  ]);
  assert.deepEqual(await store.read(`${at}/a`), { path: `${at}/a`, data: '{"x":1}', version: 1 });
  assert.equal(await store.read(`${at}/b`), undefined);
  assert.deepEqual(await store.list(at), ['a', 'c']);
  assert.deepEqual(await store.list(`${at}/none`), []);
});

test('store: text of every alphabet is read as it was written', async () => {
  const at = await folder();
  const data = 'Größe 大きさ 🙂 \u0000';
  await store.commit([{ kind: 'create', path: `${at}/a`, data }]);
  assert.equal((await store.read(`${at}/a`))?.data, data);
});

test('store: one wrong step undoes the whole transaction and is named', async () => {
  const at = await folder();
  await store.commit([{ kind: 'create', path: `${at}/there`, data: '' }]);
  const wrong: readonly StoreOp[] = [
    { kind: 'create', path: `${at}/there`, data: '' },
    { kind: 'set', path: `${at}/there`, data: '', version: 7 },
    { kind: 'set', path: `${at}/none`, data: '', version: 0 },
    { kind: 'remove', path: `${at}/none`, version: 0 },
    { kind: 'check', path: `${at}/none`, version: 0 },
    { kind: 'create', path: `${at}/none/below`, data: '' },
  ];
  for (const op of wrong) {
    const steps: readonly StoreOp[] = [
      { kind: 'create', path: `${at}/before`, data: '' },
      { kind: 'set', path: `${at}/there`, data: 'changed', version: 0 },
      op,
      { kind: 'create', path: `${at}/after`, data: '' },
    ];
    await assert.rejects(store.commit(steps), stale(op.path));
    assert.deepEqual(await store.list(at), ['there']);
    assert.deepEqual(await store.read(`${at}/there`), {
      path: `${at}/there`,
      data: '',
      version: 0,
    });
  }
});

test('store: a folder with records in it is not removed', async () => {
  const at = await folder();
  await store.commit([{ kind: 'create', path: `${at}/a`, data: '' }]);
  await assert.rejects(store.commit([{ kind: 'remove', path: at, version: 0 }]), stale(at));
  await assert.rejects(store.discard(at), { code: 'DREY_STORE_REFUSED', message: /has children/ });
});

test('store: version 0 means version 0 and not any version', async () => {
  const at = await folder();
  const path = `${at}/a`;
  await store.commit([{ kind: 'create', path, data: 'first' }]);
  await store.commit([{ kind: 'set', path, data: 'second', version: 0 }]);
  await assert.rejects(
    store.commit([{ kind: 'set', path, data: 'lost', version: 0 }]),
    stale(path),
  );
  await assert.rejects(store.commit([{ kind: 'check', path, version: 0 }]), stale(path));
  await assert.rejects(store.commit([{ kind: 'remove', path, version: 0 }]), stale(path));
  assert.deepEqual(await store.read(path), { path, data: 'second', version: 1 });
});

test('store: of many writers at one version exactly one wins', async () => {
  const at = await folder();
  const path = `${at}/a`;
  await store.commit([{ kind: 'create', path, data: '' }]);
  const tries = Array.from({ length: 20 }, (_, i) =>
    store.commit([{ kind: 'set', path, data: String(i), version: 0 }]),
  );
  const outcomes = await Promise.allSettled(tries);
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
});

test('store: the largest record and the largest transaction pass', async () => {
  const at = await folder();
  const data = 'x'.repeat(mostRecordBytes);
  await store.commit([{ kind: 'create', path: `${at}/record`, data }]);
  assert.equal((await store.read(`${at}/record`))?.data.length, mostRecordBytes);
  const half = 'x'.repeat(mostTransactionBytes / 2 - 200);
  await store.commit([
    { kind: 'create', path: `${at}/half-1`, data: half },
    { kind: 'create', path: `${at}/half-2`, data: half },
  ]);
  assert.deepEqual(await store.list(at), ['half-1', 'half-2', 'record']);
});

test('store: what is too large is refused with path and size, and nothing is sent', async () => {
  const at = await folder();
  // 'ß' takes two bytes: bytes count, not letters.
  const data = 'ß'.repeat(mostRecordBytes / 2 + 1);
  await assert.rejects(store.commit([{ kind: 'create', path: `${at}/a`, data }]), {
    code: 'DREY_STORE_REFUSED',
    message: /record \/f\d+\/a holds 524290 bytes; at most 524288/,
  });
  await assert.rejects(store.createEphemeralSequential(`${at}/e-`, data), StoreRefusedError);
  const third = 'x'.repeat(mostTransactionBytes / 3);
  const ops = ['a', 'b', 'c'].map(
    (name): StoreOp => ({ kind: 'create', path: `${at}/${name}`, data: third }),
  );
  await assert.rejects(store.commit(ops), {
    code: 'DREY_STORE_REFUSED',
    message: /3 steps takes 92\d{4} bytes; .*\/f\d+\/a with 307200/,
  });
  assert.equal(store.session, 'connected');
  assert.deepEqual(await store.list(at), []);
});

test('store: a path that ZooKeeper cannot hold is refused', async () => {
  await assert.rejects(store.read('/a//b'), { code: 'DREY_STORE_REFUSED' });
  await assert.rejects(store.commit([{ kind: 'create', path: 'a', data: '' }]), {
    code: 'DREY_STORE_REFUSED',
  });
});

test('store: an answer that the client library does not know is an error, not the end', async () => {
  const direct = await open(world.servers);
  await direct.ensure('/zookeeper/quota/small');
  await direct.ensure('/small');
  await direct.commit([
    {
      kind: 'create',
      path: '/zookeeper/quota/small/zookeeper_limits',
      data: 'count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=-1',
    },
    {
      kind: 'create',
      path: '/zookeeper/quota/small/zookeeper_stats',
      data: 'count=1,bytes=0',
    },
  ]);
  const create: StoreOp = { kind: 'create', path: '/small/a', data: 'more than ten bytes' };
  const refused = { code: 'DREY_STORE_REFUSED', message: /QUOTA_EXCEEDED/ };
  await assert.rejects(direct.commit([create]), refused);
  await assert.rejects(direct.createEphemeralSequential('/small/e-', create.data), refused);
  assert.equal(await direct.read('/small/a'), undefined);
  await direct.close();
});

test('store: a folder is made with all that lies above it, also by many at once', async () => {
  const at = await folder();
  await Promise.all(Array.from({ length: 10 }, () => store.ensure(`${at}/a/b/c`)));
  assert.deepEqual(await store.read(`${at}/a/b/c`), {
    path: `${at}/a/b/c`,
    data: '',
    version: 0,
  });
  await store.discard(`${at}/a/b/c`);
  await store.discard(`${at}/a/b/c`);
  assert.deepEqual(await store.list(`${at}/a/b`), []);
});

test('store: a watch tells once that a record changed, vanished or was made', async () => {
  const at = await folder();
  const path = `${at}/a`;
  const told: string[] = [];
  assert.equal(await store.watch(path, () => told.push('made')), undefined);
  await store.commit([{ kind: 'create', path, data: '1' }]);
  assert.equal((await store.watch(path, () => told.push('changed')))?.data, '1');
  await store.commit([{ kind: 'set', path, data: '2', version: 0 }]);
  await store.commit([{ kind: 'set', path, data: '3', version: 1 }]);
  const both = () => told.push('vanished');
  await store.watch(path, both);
  await store.watch(path, both);
  await store.discard(path);
  await until(() => told.length >= 4, { deadlineMs: 5000, what: 'all watches told' });
  assert.deepEqual(told, ['made', 'changed', 'vanished', 'vanished']);
});

test('store: paths below a folder of our own look as if it were the root', async () => {
  const direct = await open(world.servers);
  const at = await folder();
  const path = await store.createEphemeralSequential(`${at}/e-`, 'here');
  assert.match(path, /^\/f\d+\/e-\d{10}$/);
  assert.equal((await direct.read(`/commit/test${path}`))?.data, 'here');
  assert.ok((await store.list('/')).includes(at.slice(1)));
  await direct.close();
});
