import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { request } from 'undici';
import { systemClock } from '#runtime/clock.ts';
import { connectStore } from '#runtime/store/zookeeper.ts';
import { startRelay } from '#test/world/relay.ts';
import { until } from '#test/world/until.ts';
import { startZooKeeper } from '#test/world/zookeeper.ts';
import { Scheduler, shell } from './scheduler.ts';
import { startProcess } from './stage.ts';

test('mesos: of two masters at a ZooKeeper one leads, the other points to it and takes over', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'drey-mesos-'));
  const zookeeper = await startZooKeeper({ dir: join(dir, 'zookeeper') });
  const zk = `zk://${zookeeper.servers}/mesos`;
  const one = await startProcess(dir, 'one', [
    'master',
    '--port=0',
    `--zk=${zk}`,
    '--allocation-interval=0.2',
  ]);
  const two = await startProcess(dir, 'two', [
    'master',
    '--port=0',
    `--zk=${zk}`,
    '--allocation-interval=0.2',
  ]);
  const resources = '--resources=cpus:4;mem:4096';
  const agent = await startProcess(dir, 'agent', [
    'agent',
    `--master=${zk}`,
    `--work-dir=${join(dir, 'agent')}`,
    resources,
  ]);
  const at = (process: { readonly facts: Readonly<Record<string, unknown>> }): string =>
    `127.0.0.1:${process.facts.port}`;
  try {
    const ask = (path: string, method: 'GET' | 'POST' = 'GET') =>
      request(`http://${at(two)}${path}`, { method });
    const redirected = async (
      path: string,
      method: 'GET' | 'POST',
    ): Promise<readonly unknown[]> => {
      const { statusCode, headers, body } = await ask(path, method);
      return [statusCode, headers.location, await body.text()];
    };
    assert.deepEqual(await redirected('/api/v1/scheduler', 'POST'), [
      307,
      `//${at(one)}/master/api/v1/scheduler`,
      '',
    ]);
    assert.deepEqual(await redirected('/master/redirect', 'GET'), [307, `//${at(one)}`, '']);
    assert.deepEqual(await redirected('/state', 'GET'), [307, `//${at(one)}/master/state`, '']);
    assert.equal((await ask('/health')).statusCode, 200);
    const scheduler = await Scheduler.subscribe(at(one));
    await scheduler.launch((agentId) => [shell('t', agentId, 'sleep 1000')]);
    await scheduler.reached('t', 'TASK_RUNNING');
    await one.kill('SIGKILL');
    await until(async () => (await ask('/state')).statusCode === 200, {
      deadlineMs: 15_000,
      what: 'the second master leads',
    });
    const info = { id: { value: scheduler.frameworkId } };
    const again = await Scheduler.subscribe(at(two), { info });
    await again.offer();
    await again.call({ type: 'RECONCILE', reconcile: {} });
    assert.equal((await again.told('t', 'REASON_RECONCILIATION')).state, 'TASK_RUNNING');
    await scheduler.close();
    await again.close();
  } finally {
    await agent.kill('SIGTERM');
    await Promise.all([one.kill('SIGTERM'), two.kill('SIGTERM')]);
    await zookeeper.stop();
    await rm(dir, { recursive: true, force: true });
  }
});

test('mesos: a master that never heard whether its node was made finds it and leads', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'drey-mesos-'));
  const zookeeper = await startZooKeeper({ dir: join(dir, 'zookeeper') });
  const relay = await startRelay(zookeeper.servers);
  const store = await connectStore({
    servers: zookeeper.servers,
    sessionTimeoutMs: 10_000,
    clock: systemClock,
  });
  const nodes = (): Promise<readonly string[]> => store.list('/mesos');
  relay.delay(500);
  const starting = startProcess(dir, 'one', [
    'master',
    '--port=0',
    `--zk=zk://${relay.address}/mesos`,
  ]);
  try {
    await until(async () => (await nodes()).length > 0, {
      deadlineMs: 30_000,
      what: 'the node is made, its answer is on the way',
    });
    relay.cut();
    relay.delay(0);
    const master = await starting;
    const asked = () => request(`http://127.0.0.1:${master.facts.port}/state`);
    await until(async () => (await asked()).statusCode === 200, {
      deadlineMs: 15_000,
      what: 'the master leads',
    });
    assert.equal((await nodes()).length, 1);
  } finally {
    const master = await starting.catch(() => undefined);
    await master?.kill('SIGTERM');
    await store.close();
    await relay.close();
    await zookeeper.stop();
    await rm(dir, { recursive: true, force: true });
  }
});
