import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { checkOf, createOf, replaceOf } from '#runtime/store/ops.ts';
import { inParallel } from '#runtime/store/parallel.ts';
import { parseRecord, readChildren, readMany, readRecord } from '#runtime/store/records.ts';
import { parseServers } from '#runtime/store/servers.ts';
import type { Store } from '#runtime/store/store.ts';
import { startZooKeeper, type ZooKeeperWorld } from '#test/world/zookeeper.ts';
import { closeStores, open } from './open.ts';

const schema = z.looseObject({ v: z.literal(1), op: z.string(), count: z.int() });
let world: ZooKeeperWorld;
let store: Store;

before(async () => {
  world = await startZooKeeper();
  store = await open(world.servers);
  await store.ensure('/records');
});
after(async () => {
  await closeStores();
  await world.stop();
});

test('records: a record is replaced at the version read, and fields unknown here stay', async () => {
  const path = '/records/a';
  await store.commit([createOf(path, { v: 1, op: 'x', count: 1, later: { kept: true } })]);
  const read = await readRecord(store, path, schema);
  assert.ok(read);
  assert.deepEqual([read.version, read.value.count], [0, 1]);
  await store.commit([replaceOf(read, { ...read.value, op: 'y', count: 2 })]);
  const again = await readRecord(store, path, schema);
  assert.deepEqual(again?.value, { v: 1, op: 'y', count: 2, later: { kept: true } });
  for (const op of [replaceOf(read, read.value), checkOf(read)]) {
    await assert.rejects(store.commit([op]), { code: 'DREY_STALE_RECORD', path });
  }
  assert.ok(again);
  await store.commit([checkOf(again)]);
  assert.equal(await readRecord(store, '/records/none', schema), undefined);
});

test('records: what cannot be read is an error that names the record and the reason', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /no JSON/],
    ['{"v":1', /no JSON/],
    ['{"v":1,"op":"x"}', /count/],
    ['{"v":1,"op":"x","count":"2"}', /count/],
    ['{"v":2,"op":"x","count":2}', /schema version 2 is not known here, a newer drey wrote it/],
    ['null', /record:/],
  ];
  for (const [data, message] of cases) {
    assert.throws(() => parseRecord({ path: '/records/b', data, version: 3 }, schema), {
      code: 'DREY_UNREADABLE_RECORD',
      path: '/records/b',
      message,
    });
  }
});

test('records: many records are read in order, absent ones included', async () => {
  const paths = Array.from({ length: 200 }, (_, i) => `/records/many/${1000 + i}`);
  await store.ensure('/records/many');
  const present = paths.filter((_, i) => i % 3 !== 0);
  await store.commit(present.map((path, i) => createOf(path, { v: 1, op: path, count: i })));
  const read = await readMany(store, paths, schema);
  assert.deepEqual(
    read.map((record) => record?.value.op),
    paths.map((path, i) => (i % 3 === 0 ? undefined : path)),
  );
  const children = await readChildren(store, '/records/many', schema);
  assert.deepEqual(
    children.map((record) => record.path),
    present,
  );
});

test('records: no more than the given number of reads is under way at once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(), { maxLength: 50 }),
      fc.integer({ min: 1, max: 9 }),
      async (items, width) => {
        let now = 0;
        let most = 0;
        const results = await inParallel(items, width, async (item) => {
          now += 1;
          most = Math.max(most, now);
          await Promise.resolve();
          now -= 1;
          return item * 2;
        });
        assert.deepEqual(
          results,
          items.map((item) => item * 2),
        );
        assert.ok(most <= width);
      },
    ),
    { numRuns: 50 },
  );
});

test('store: the list of servers is read as operators write it', () => {
  assert.deepEqual(parseServers('a, b:2182 ,[::1]:2183,[fe80::1],10.0.0.1:1,'), [
    { host: 'a', port: 2181 },
    { host: 'b', port: 2182 },
    { host: '::1', port: 2183 },
    { host: 'fe80::1', port: 2181 },
    { host: '10.0.0.1', port: 1 },
  ]);
  assert.throws(() => parseServers('a:70000'), /"a:70000" is not a ZooKeeper server/);
});
