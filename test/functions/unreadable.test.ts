import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workerRecord } from '#proto/records.ts';
import { readMany } from '#runtime/store/records.ts';
import type { Store } from '#runtime/store/store.ts';
import { prepareCluster } from '#test/world/cluster.ts';
import { startMesos } from '#test/world/mesos.ts';
import { until } from '#test/world/until.ts';
import { inWorld } from '#test/world/world.ts';

const deadlineMs = 60_000;

/** Puts other data in the place of a record; returns the way back. */
async function spoil(store: Store, path: string, data: string): Promise<() => Promise<void>> {
  const read = await until(
    async () => {
      const found = await store.read(path);
      assert.ok(found !== undefined, `${path} is there`);
      await store.commit([{ kind: 'set', path, version: found.version, data }]);
      return found;
    },
    { deadlineMs, what: `${path} is spoilt` },
  );
  return async () => {
    const now = await store.read(path);
    assert.equal(now?.data, data, `${path} is as it was spoilt: nothing was lost`);
    await store.commit([{ kind: 'set', path, version: now.version, data: read.data }]);
  };
}

test('functions: a record that cannot be read leaves undecided what depends on it, and nothing else', () =>
  inWorld(async (world) => {
    const mesos = await startMesos(world, {
      simulated: 2,
      resources: 'cpus:8;mem:16384;disk:9000',
    });
    const cluster = await prepareCluster(world, {
      master: mesos.address,
      settings: {
        'drey.demand': 'fixed',
        'drey.demand.target': 3,
        'taskmanager.cpu.cores': 1,
        'taskmanager.memory.process.size': '1024m',
      },
    });
    const { drey } = cluster;
    const { store, paths } = drey;
    await cluster.startGateway();
    const functions = await cluster.startFunctions();
    const running = async (): Promise<readonly string[]> => {
      const ids = await store.list(paths.workers);
      const read = await readMany(
        store,
        ids.map(paths.worker).filter((path) => !path.endsWith('-00001')),
        workerRecord,
      );
      return read.flatMap((one) => (one?.value.state === 'running' ? [one.value.id] : []));
    };
    await until(async () => (await running()).length === 2, { deadlineMs, what: 'three run' });
    const tasks = async (): Promise<readonly string[]> =>
      (await mesos.framework()).tasks
        .filter(({ state }) => state === 'TASK_RUNNING')
        .map(({ id }) => id);
    await until(async () => (await tasks()).length === 3, { deadlineMs, what: 'three tasks run' });

    const [first = ''] = await store.list(paths.workers);
    const newer = JSON.stringify({ v: 2, op: 'a newer drey', id: first });
    const mendWorker = await spoil(store, paths.worker(first), newer);
    const answer = await drey.do('stop', { worker: first });
    assert.equal(answer.ok, false);
    assert.match(answer.message, /schema version 2 is not known here/);
    assert.equal((await drey.do('scale', { workers: 5 })).ok, true);
    await until(async () => (await running()).length === 4, {
      deadlineMs,
      what: 'two more run beside the one whose record cannot be read',
    });
    assert.ok((await tasks()).includes(first), 'it was not killed as a task without a record');
    const status = await drey.ask('status');
    assert.match(String(status.sentence), new RegExp(`${first} cannot be read`));
    assert.deepEqual((status.unreadable as string[]).length, 1);
    await mendWorker();
    assert.equal((await drey.do('stop', { worker: first })).ok, true);
    await until(async () => !(await tasks()).includes(first), {
      deadlineMs,
      what: 'it is stopped',
    });

    const mendSpec = await spoil(store, paths.spec, 'no JSON');
    await until(async () => /spec cannot be read/.test(await functions.log()), {
      deadlineMs,
      what: 'the functions say that they wait',
    });
    const waiting = drey.do('scale', { workers: 2 });
    waiting.catch(() => undefined);
    assert.match(String((await drey.ask('status')).sentence), /spec cannot be read: it is no JSON/);
    await mendSpec();
    await until(async () => (await tasks()).length === 2, {
      deadlineMs,
      what: 'the command that waited was applied',
    });
    const said = (await functions.log()).match(/depends on a record/g) ?? [];
    assert.ok(said.length < 40, `it is not said again and again: ${said.length} times`);
  }));
