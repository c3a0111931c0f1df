import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { type Cluster, prepareCluster } from '#test/world/cluster.ts';
import { type Mesos, startMesos } from '#test/world/mesos.ts';
import { natsCommand } from '#test/world/nats.ts';
import { until } from '#test/world/until.ts';
import { inWorld, type World } from '#test/world/world.ts';
import { note, seconds } from './notes.ts';

const run = promisify(execFile);

/** The real `nats` command against the world's server; resolves to what it prints. */
async function nats(world: World, ...args: readonly string[]): Promise<string> {
  const binary = await natsCommand();
  const { stdout, stderr } = await run(binary, ['--server', world.nats.url, ...args], {
    timeout: 30_000,
  });
  return stdout + stderr;
}

async function request(world: World, subject: string, body: string): Promise<unknown> {
  return JSON.parse(await nats(world, 'req', '--raw', subject, body));
}

const fixed = {
  'drey.demand': 'fixed',
  'taskmanager.memory.process.size': '1024m',
  'drey.zookeeper.session-timeout': '4 s',
};

async function fleet(mesos: Mesos): Promise<number> {
  const { tasks } = await mesos.framework();
  return tasks.filter(({ state }) => state === 'TASK_RUNNING').length;
}

test('journeys: a command published while no function runs is applied once when they start', () =>
  inWorld(async (world) => {
    const mesos = await startMesos(world, { simulated: 2 });
    const cluster = await prepareCluster(world, { master: mesos.address, settings: fixed });
    await cluster.startGateway();
    const first = await cluster.startFunctions();
    await cluster.leader();
    const { generation } = await specOf(cluster);
    await first.stop();
    await nats(world, 'pub', `drey.${cluster.name}.admin.scale`, '{"workers":3}');
    const started = performance.now();
    await first.restart();
    await cluster.startFunctions();
    await until(async () => (await fleet(mesos)) === 3, {
      deadlineMs: 30_000,
      what: 'three workers run',
    });
    note(`nats pub while stopped: three workers ${seconds(started)} s after the functions' start`);
    assert.equal((await specOf(cluster)).generation, generation + 1, 'applied once');
    assert.equal((await cluster.drey.store.list(cluster.drey.paths.commands)).length, 1);
    await answersRequests(world, cluster, mesos);
    await refusesNonsense(world, cluster, mesos);
  }));

async function answersRequests(world: World, cluster: Cluster, mesos: Mesos): Promise<void> {
  const status = await request(world, `drey.${cluster.name}.ask.status`, '{}');
  const { sentence, target, workers } = status as Record<string, unknown>;
  assert.equal(target, 3);
  assert.equal((workers as Record<string, number>).running, 3);
  note(`ask.status: ${sentence}`);
  const scaled = await request(world, `drey.${cluster.name}.do.scale`, '{"workers":4}');
  assert.equal((scaled as { ok: boolean }).ok, true);
  note(`do.scale: ${JSON.stringify(scaled)}`);
  await until(async () => (await fleet(mesos)) === 4, {
    deadlineMs: 30_000,
    what: 'four workers run',
  });
  const services = await nats(world, 'micro', 'ls');
  assert.match(services, /explain/, 'nats micro ls shows the functions');
}

async function refusesNonsense(world: World, cluster: Cluster, mesos: Mesos): Promise<void> {
  const before = await specOf(cluster);
  const bodies = ['{"workers":-1}', '{"workers":"many"}', 'nonsense', '{}', '{"worker":5}'];
  for (const body of bodies) {
    const answer = await request(world, `drey.${cluster.name}.do.scale`, body);
    const { ok, message } = answer as { ok: boolean; message: string };
    assert.equal(ok, false, `${body} is refused`);
    assert.match(message, /^scale: /, 'the answer names the command');
    note(`do.scale ${body}: ${message}`);
    await nats(world, 'pub', `drey.${cluster.name}.admin.scale`, body);
  }
  // A good command behind them shows that none of them blocks the stream.
  await nats(world, 'pub', `drey.${cluster.name}.admin.scale`, '{"workers":2}');
  await until(async () => (await fleet(mesos)) === 2, {
    deadlineMs: 30_000,
    what: 'two workers run',
  });
  const after = await specOf(cluster);
  assert.equal(after.generation, before.generation + 1, 'only the good command changed anything');
}

test('journeys: with the driver a scale command is refused and told why', () =>
  inWorld(async (world) => {
    const mesos = await startMesos(world, { simulated: 2 });
    const settings = { ...fixed, 'drey.demand': 'driver' };
    const cluster = await prepareCluster(world, { master: mesos.address, settings });
    await cluster.startGateway();
    await cluster.startFunctions();
    await cluster.leader();
    const before = await specOf(cluster);
    const answer = await request(world, `drey.${cluster.name}.do.scale`, '{"workers":3}');
    const { ok, message } = answer as { ok: boolean; message: string };
    assert.equal(ok, false);
    assert.match(message, /Flink decides.*slotmanager\.number-of-slots\.min/);
    note(`do.scale with the driver: ${message}`);
    assert.deepEqual(await specOf(cluster), before, 'nothing has changed');
    assert.equal((await mesos.framework()).tasks.length, 0);
  }));

async function specOf(cluster: Cluster): Promise<{ generation: number; overrides: unknown }> {
  const { generation, overrides } = await cluster.drey.ask('config');
  return { generation: Number(generation), overrides };
}
