import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cluster, prepareCluster } from '#test/world/cluster.ts';
import { type Mesos, startMesos } from '#test/world/mesos.ts';
import { until } from '#test/world/until.ts';
import { inWorld, type World } from '#test/world/world.ts';
import { note, seconds } from './notes.ts';

const agents = 100;
const target = 500;

const settings = {
  'drey.demand': 'fixed',
  'taskmanager.numberOfTaskSlots': 1,
  'taskmanager.memory.process.size': '1024m',
  'taskmanager.cpu.cores': 1,
  'drey.zookeeper.session-timeout': '4 s',
};

test('journeys: a fixed fleet of 500 is launched once each, scales, and survives its functions and its gateway', () =>
  inWorld(async (world) => {
    const { mesos, cluster } = await startFleet(world);
    await launches(mesos, cluster);
    await scales(mesos, cluster);
    await functionsKilled(mesos, cluster);
    await gatewayKilled(mesos, cluster);
    await launchedOnce(mesos, cluster);
  }));

async function startFleet(world: World): Promise<{ mesos: Mesos; cluster: Cluster }> {
  const mesos = await startMesos(world, {
    simulated: agents,
    resources: 'cpus:8;mem:16384;disk:10000',
  });
  const cluster = await prepareCluster(world, { master: mesos.address, settings });
  await Promise.all([1, 2].map(() => cluster.startGateway()));
  await Promise.all([1, 2].map(() => cluster.startFunctions()));
  await cluster.leader();
  return { mesos, cluster };
}

async function launches(mesos: Mesos, cluster: Cluster): Promise<void> {
  const started = performance.now();
  const { message } = await scale(cluster, target);
  await running(mesos, target, 90_000);
  const took = seconds(started);
  note(`${message}: ${target} workers on ${agents} agents running after ${took} s`, {
    'launches/s': (target / Number(took)).toFixed(0),
    ...(await mesos.history()).offers,
  });
  await launchedOnce(mesos, cluster);
}

async function scales(mesos: Mesos, cluster: Cluster): Promise<void> {
  for (const next of [550, 100]) {
    const started = performance.now();
    await scale(cluster, next);
    await running(mesos, next, 90_000);
    note(`scaled to ${next} in ${seconds(started)} s`);
  }
  await launchedOnce(mesos, cluster);
}

/** All functions die while workers are launched: what was decided is in the store, the rest is decided again. */
async function functionsKilled(mesos: Mesos, cluster: Cluster): Promise<void> {
  await scale(cluster, 400);
  await until(async () => (await taskCount(mesos)) > 150, {
    deadlineMs: 30_000,
    what: 'the scale-up is under way',
    everyMs: 5,
  });
  await Promise.all(cluster.functions.map((part) => part.kill('SIGKILL')));
  const reached = await taskCount(mesos);
  const started = performance.now();
  await Promise.all(cluster.functions.map((part) => part.restart()));
  await running(mesos, 400, 120_000);
  note(
    `all functions killed at ${reached} of 400 tasks; restart to 400 running ${seconds(started)} s`,
  );
  await launchedOnce(mesos, cluster);
}

async function gatewayKilled(mesos: Mesos, cluster: Cluster): Promise<void> {
  const before = await mesos.framework();
  const leader = await cluster.leader();
  const { epoch } = await cluster.drey.framework();
  const started = performance.now();
  await leader.kill('SIGKILL');
  await until(async () => (await cluster.drey.framework()).epoch > epoch, {
    deadlineMs: 30_000,
    what: 'the standby gateway leads',
  });
  await until(async () => (await mesos.framework()).active, {
    deadlineMs: 30_000,
    what: 'the framework is connected again',
  });
  note(`leading gateway killed; standby subscribed after ${seconds(started)} s`);
  await scale(cluster, 410);
  await running(mesos, 410, 60_000);
  const after = await mesos.framework();
  assert.equal(after.id, before.id, 'the framework keeps its id');
  const alive = new Set(after.tasks.map(({ id }) => id));
  assert.deepEqual(
    before.tasks.filter(({ id }) => !alive.has(id)),
    [],
    'no task is lost',
  );
  note(`10 more workers running ${seconds(started)} s after the kill, same framework id`);
}

async function launchedOnce(mesos: Mesos, cluster: Cluster): Promise<void> {
  const { launches: all } = await mesos.history();
  const { id } = await cluster.drey.framework();
  const launches = Object.entries(all[id] ?? {});
  assert.deepEqual(Object.keys(all), [id], 'one framework launched');
  assert.deepEqual(
    launches.filter(([, times]) => times !== 1),
    [],
    'every worker is launched once',
  );
}

async function scale(cluster: Cluster, workers: number) {
  const answer = await cluster.drey.do('scale', { workers });
  assert.ok(answer.ok, answer.message);
  return answer;
}

async function taskCount(mesos: Mesos): Promise<number> {
  return (await mesos.framework()).tasks.length;
}

/** That many tasks run at Mesos, and nothing else lives. */
async function running(mesos: Mesos, count: number, deadlineMs: number): Promise<void> {
  await until(
    async () => {
      const { tasks } = await mesos.framework();
      return tasks.length === count && tasks.every(({ state }) => state === 'TASK_RUNNING');
    },
    { deadlineMs, what: `${count} tasks run`, everyMs: 25 },
  );
}
