import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NoResponderError, RequestTimeoutError } from '#runtime/errors.ts';
import { storeLike } from '#runtime/store/like.ts';
import type { Store } from '#runtime/store/store.ts';
import { until } from '#test/world/until.ts';
import { ground, LimitsCluster } from './limits-world.ts';

/** A record that this version cannot read: nothing is decided from it, and nothing is lost. */
const at = ground();
const soon = { deadlineMs: 60_000 };
const request = {
  session: 's1',
  n: 1,
  cpus: 1,
  memMb: 1024,
  slots: 2,
  jvm: '',
  dynamic: [],
};

async function put(c: LimitsCluster, path: string, data: string): Promise<void> {
  const version = (await c.store.read(path))?.version ?? 0;
  await c.store.commit([{ kind: 'set', path, version, data }]);
}

async function said(c: LimitsCluster, what: RegExp): Promise<void> {
  const told = async () => JSON.parse(await c.ask(c.subjects.ask('status'), '{}')).sentence;
  await until(async () => what.test(await told()), { ...soon, what: `ask.status says ${what}` });
}

const nobodyKnows = (error: unknown) =>
  error instanceof RequestTimeoutError || error instanceof NoResponderError;

test('limits: upon a record of a newer version nothing is answered, and all is served once it can be read', async (t) => {
  const c = await LimitsCluster.start(at(), t);
  await c.run('demand');
  await c.run('explain');
  const { subjects, store, paths } = c;
  await c.ask(subjects.demand('recover'), { session: 's1', flinkVersion: '2.3.0' });
  for (const data of ['{"v":2,"op":"newer","counter":7,"kept":"x"}', 'no record']) {
    await put(c, paths.fleet, data);
    const before = await c.records();
    await assert.rejects(c.ask(subjects.demand('request'), request, {}, 1500), nobodyKnows);
    assert.deepEqual(await c.records(), before);
    assert.equal((await store.read(paths.fleet))?.data, data);
  }
  await said(c, /record \/drey\/\w+\/fleet cannot be read: it is no JSON/);
  await put(c, paths.fleet, JSON.stringify({ v: 1, op: 'mended', counter: 7 }));
  const { sentence } = JSON.parse(await c.ask(subjects.ask('status'), '{}'));
  assert.doesNotMatch(sentence, /cannot be read|set aside/, 'and nothing of it stays');
  const served = JSON.parse(await c.ask(subjects.demand('request'), request));
  assert.equal(served.worker, 'taskmanager-00008');
});

test('limits: ask.status names each kind of record that cannot be read', async (t) => {
  const c = await LimitsCluster.start(at(), t);
  await c.run('explain');
  const { paths, store } = c;
  const unread = [paths.driver, paths.launches, paths.reconcile, paths.agent('a/1')];
  await store.commit(unread.map((path) => ({ kind: 'create', path, data: 'no record' })));
  unread.push(paths.framework, paths.spec, paths.fleet);
  for (const path of unread) await put(c, path, 'no record');
  const { unreadable } = JSON.parse(await c.ask(c.subjects.ask('status'), '{}'));
  assert.deepEqual(
    unreadable.map((why: string) => why.split(' ')[1]).toSorted(),
    unread.toSorted(),
  );
});

test('limits: a command that comes while a record cannot be read is applied once it can', async (t) => {
  const c = await LimitsCluster.start(at(), t, { demand: { mode: 'fixed', target: 0 } });
  const { subjects, store, paths, bus } = c;
  const data = (await store.read(paths.framework))?.data ?? '';
  await put(c, paths.framework, data.replace('"v":1', '"v":2'));
  let tried = 0;
  const noted = (real: Store): Store =>
    storeLike(real, {
      read: (path) => {
        if (path === paths.framework) tried += 1;
        return real.read(path);
      },
    });
  await c.run('admin', { store: noted });
  await c.run('explain');
  await bus.append(subjects.admin('scale'), new TextEncoder().encode('{"workers":5}'));
  const why = `${paths.framework} cannot be read: its schema version 2 is not known`;
  await until(() => tried > 1, { ...soon, what: 'it was tried, and is tried again' });
  assert.ok((await c.ask(subjects.ask('status'), '{}')).includes(why));
  await put(c, paths.framework, data);
  const target = async () => JSON.parse((await store.read(paths.spec))?.data ?? '{}').overrides;
  await until(async () => (await target()).target === 5, { ...soon, what: 'it is applied' });
});
