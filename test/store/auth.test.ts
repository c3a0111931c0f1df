import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Store, StoreOp } from '#runtime/store/store.ts';
import { startRelay } from '#test/world/relay.ts';
import { until } from '#test/world/until.ts';
import { startZooKeeper, type ZooKeeperWorld } from '#test/world/zookeeper.ts';
import { closeStores, open } from './open.ts';

const auth = { scheme: 'digest', credential: 'drey:secret' };
let world: ZooKeeperWorld;
let owner: Store;

before(async () => {
  world = await startZooKeeper();
  owner = await open(world.servers, { auth, chroot: '/private' });
});
after(async () => {
  await closeStores();
  await world.stop();
});

test('store: with a credential every node that is made belongs to it alone', async () => {
  await owner.ensure('/folder');
  await owner.commit([{ kind: 'create', path: '/folder/record', data: 'mine' }]);
  const ephemeral = await owner.createEphemeralSequential('/folder/e-', 'mine');
  const stranger = await open(world.servers);
  for (const path of ['/private/folder/record', `/private${ephemeral}`]) {
    const refused = { code: 'DREY_STORE_REFUSED', message: new RegExp(`${path}.*NO_AUTH`) };
    await assert.rejects(stranger.read(path), refused);
    const set: StoreOp = { kind: 'set', path, data: 'theirs', version: 0 };
    await assert.rejects(stranger.commit([set]), refused);
  }
  const create: StoreOp = { kind: 'create', path: '/private/folder/theirs', data: '' };
  await assert.rejects(stranger.commit([create]), { code: 'DREY_STORE_REFUSED' });
  await assert.rejects(stranger.list('/private/folder'), { code: 'DREY_STORE_REFUSED' });
  assert.equal((await owner.read('/folder/record'))?.data, 'mine');
  await stranger.close();
});

test('store: the first call after each reconnect is authorised already', async () => {
  const relay = await startRelay(world.servers);
  const store = await open(relay.address, { auth, chroot: '/private' });
  await store.ensure('/again');
  const refused: unknown[] = [];
  let committed = 0;
  store.onSession((state) => {
    if (state !== 'connected') return;
    store
      .commit([{ kind: 'create', path: `/again/${committed}`, data: '' }])
      .then(() => {
        committed += 1;
      })
      .catch((error: unknown) => refused.push(error));
  });
  for (const round of [1, 2, 3]) {
    relay.cut();
    await until(() => committed === round || refused.length > 0, {
      deadlineMs: 10_000,
      what: `the commit of round ${round}`,
    });
  }
  assert.deepEqual(refused, []);
  await store.close();
  await relay.close();
});

test('store: an owner can use a folder below one that belongs to somebody else', async () => {
  const other = await open(world.servers, {
    auth: { scheme: 'digest', credential: 'else:other' },
  });
  // A folder of the root is open here; what matters is that the one above is not asked for.
  await other.ensure('/theirs');
  await assert.rejects(owner.ensure('/folder/../x'), { code: 'DREY_STORE_REFUSED' });
  await assert.rejects(open(world.servers, { auth, chroot: '/theirs/below' }), {
    code: 'DREY_STORE_REFUSED',
    message: /NO_AUTH/,
  });
  await other.close();
});

test('store: a credential of an unknown scheme is refused by name', async () => {
  await assert.rejects(
    open(world.servers, { auth: { scheme: 'nonsense', credential: 'hidden-text' } }),
    (error: Error & { code?: string }) =>
      error.code === 'DREY_STORE_REFUSED' &&
      /nonsense/.test(error.message) &&
      !/hidden-text/.test(error.message),
  );
});
