import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { subjectsOf } from '#proto/subjects.ts';
import { watchDrey } from '#test/world/drey.ts';
import { leftoversOf } from '#test/world/leftovers.ts';
import { startMesos } from '#test/world/mesos.ts';
import type { Part } from '#test/world/part.ts';
import { freePort } from '#test/world/ports.ts';
import { until } from '#test/world/until.ts';
import { inWorld, type World } from '#test/world/world.ts';

const root = resolve(import.meta.dirname, '../..');
const cluster = 'ends';
const full = process.env.DREY_FULL === '1';

/** Small, quick to start, without Flink's own high availability. */
const settings = {
  'drey.cluster': cluster,
  'drey.gateway.http.bind-host': '127.0.0.1',
  'drey.functions.http.bind-host': '127.0.0.1',
  'drey.zookeeper.session-timeout': '4 s',
  'jobmanager.rpc.address': '127.0.0.1',
  'jobmanager.bind-host': '127.0.0.1',
  'rest.address': '127.0.0.1',
  'rest.bind-address': '127.0.0.1',
  'jobmanager.memory.heap.size': '160m',
  'jobmanager.memory.jvm-overhead.min': '64m',
  'taskmanager.memory.process.size': '1g',
  'env.java.opts.all': '-XX:+UseSerialGC -XX:TieredStopAtLevel=1',
};

interface Appmaster {
  readonly part: Part;
  readonly rest: string;
  readonly folder: string;
}

async function startAppmaster(
  world: World,
  name: string,
  master: string,
  more: Readonly<Record<string, string>>,
  ready: RegExp,
): Promise<Appmaster> {
  const folder = join(world.dir, name);
  await mkdir(join(folder, 'conf'), { recursive: true });
  const port = await freePort();
  const all = {
    ...settings,
    'mesos.master': master,
    'drey.state.dir': join(folder, 'state'),
    'rest.port': String(port),
    'jobmanager.rpc.port': '0',
    ...more,
  };
  const lines = Object.entries(all).map(([key, value]) => `${key}: ${value}\n`);
  // The old syntax: it must do as well.
  await writeFile(join(folder, 'conf', 'flink-conf.yaml'), lines.join(''));
  world.showOnFailure(join(folder, 'state/log/gateway.log'));
  const part = await world.start({
    name,
    file: join(root, 'deploy/bin/mesos-appmaster.sh'),
    args: [],
    env: {
      ...process.env,
      FLINK_HOME: join(root, '.drey/flink-2.3.0'),
      FLINK_CONF_DIR: join(folder, 'conf'),
    },
    ready: (log) => ready.test(log),
    readyMs: 90_000,
  });
  return { part, rest: `http://127.0.0.1:${port}`, folder };
}

function shared(world: World): Readonly<Record<string, string>> {
  return {
    'drey.zookeeper.quorum': world.zookeeper.servers,
    'drey.nats.servers': world.nats.url,
  };
}

async function shutDown({ rest }: Appmaster): Promise<void> {
  const answer = await fetch(`${rest}/cluster`, { method: 'DELETE' });
  assert.equal(answer.ok, true);
}

test('appmaster: with a fixed number of workers DELETE /cluster ends everything with 0', () =>
  inWorld(async (world) => {
    const mesos = await startMesos(world, { simulated: 1 });
    const fixed = { ...shared(world), 'drey.demand': 'fixed', 'drey.demand.target': '1' };
    const appmaster = await startAppmaster(
      world,
      'fixed',
      mesos.address,
      fixed,
      /JobManager ready/,
    );
    await until(async () => (await mesos.framework()).tasks.length === 1, {
      deadlineMs: 30_000,
      what: 'the one worker is launched',
    });
    const { ended } = appmaster.part;
    await shutDown(appmaster);
    assert.equal(await ended, 0);
    assert.deepEqual(await mesos.frameworks(), []);
    assert.deepEqual(leftoversOf(appmaster.folder), []);
  }));

test('appmaster: a cluster on its own servers ends with 0 and can be started again', () =>
  inWorld(async (world) => {
    const mesos = await startMesos(world, { simulated: 1 });
    const ids: string[] = [];
    for (const _ of full ? [1, 2] : [1]) {
      const appmaster = await startAppmaster(world, 'own', mesos.address, {}, registered);
      ids.push((await mesos.framework()).id);
      const { ended } = appmaster.part;
      await shutDown(appmaster);
      assert.equal(await ended, 0);
      assert.deepEqual(leftoversOf(appmaster.folder), []);
    }
    assert.equal(new Set(ids).size, ids.length, 'an ended framework is never registered again');
  }));

test('appmaster: the teardown command from outside ends everything with 0', () =>
  inWorld(async (world) => {
    const mesos = await startMesos(world, { simulated: 1 });
    const ready = /JobManager ready/;
    const appmaster = await startAppmaster(world, 'torn', mesos.address, shared(world), ready);
    const drey = await watchDrey(cluster, world.zookeeper.servers, world.nats.url);
    world.atEnd(() => drey.close());
    const { ended } = appmaster.part;
    await drey.bus.append(subjectsOf(cluster).admin('teardown'), new TextEncoder().encode('{}'));
    assert.equal(await ended, 0);
    assert.deepEqual(await mesos.frameworks(), []);
    assert.deepEqual(leftoversOf(appmaster.folder), []);
  }));

/** As the appmaster told of it. */
async function functionsPid({ part }: Appmaster): Promise<number> {
  return Number(/: functions started, pid (\d+)/.exec(await part.log())?.[1]);
}

const registered = /JobManager ready[\s\S]*registered|registered[\s\S]*JobManager ready/;

test('appmaster: DELETE /cluster while every function is away longer than the driver waits ends with 0', () =>
  inWorld(async (world) => {
    const mesos = await startMesos(world, { simulated: 1 });
    const appmaster = await startAppmaster(world, 'away', mesos.address, shared(world), registered);
    const { ended } = appmaster.part;
    process.kill(await functionsPid(appmaster), 'SIGSTOP');
    await shutDown(appmaster);
    await until(
      async () => /the teardown of framework \S+ is stored/.test(await appmaster.part.log()),
      {
        deadlineMs: 60_000,
        what: 'the teardown is stored',
      },
    );
    assert.equal((await mesos.framework()).active, true);
    // Thawed it would still find what the driver said in its socket: those that come instead know the command alone.
    process.kill(await functionsPid(appmaster), 'SIGKILL');
    assert.equal(await ended, 0);
    assert.match(
      await appmaster.part.log(),
      /cluster ended with CANCELED: Flink ended its cluster/,
    );
    assert.deepEqual(await mesos.frameworks(), []);
  }));

/** A minute: the way out where the functions do not return. */
function unendable(): Promise<void> {
  return inWorld(async (world) => {
    const mesos = await startMesos(world, { simulated: 1 });
    const soon = { ...shared(world), 'drey.appmaster.end-timeout': '20 s' };
    const first = await startAppmaster(world, 'unended', mesos.address, soon, registered);
    const { ended } = first.part;
    const { id } = await mesos.framework();
    process.kill(await functionsPid(first), 'SIGSTOP');
    await shutDown(first);
    assert.equal(await ended, 2);
    const last = (await first.part.log()).trim().split('\n').at(-1) ?? '';
    assert.match(last, new RegExp(`after 20 s framework ${id} is still registered`));
    assert.match(
      last,
      /its teardown is stored on NATS and is done once .* start this command again$/,
    );
    assert.equal((await mesos.framework()).id, id);
    const again = await startAppmaster(world, 'again', mesos.address, soon, /Flink in/);
    assert.equal(await again.part.ended, 0);
    assert.deepEqual(await mesos.frameworks(), []);
  });
}

if (full) {
  test(
    'appmaster: functions that stay away end it with 2 and what is left; the next start ends it',
    unendable,
  );
}

/** Half a minute: in quick runs the journeys show the take-over of a gateway. */
function takeOver(): Promise<void> {
  return inWorld(async (world) => {
    const mesos = await startMesos(world, { simulated: 1 });
    const first = await startAppmaster(world, 'first', mesos.address, shared(world), registered);
    const { id } = await mesos.framework();
    const second = await startAppmaster(
      world,
      'second',
      mesos.address,
      shared(world),
      /standing by/,
    );
    assert.doesNotMatch(await second.part.log(), /JobManager started/);
    await first.part.kill('SIGKILL');
    await until(async () => /JobManager ready/.test(await second.part.log()), {
      deadlineMs: 60_000,
      what: 'the second appmaster runs the JobManager',
    });
    assert.equal((await mesos.framework()).id, id, 'the framework is the same');
    const { ended } = second.part;
    await shutDown(second);
    assert.equal(await ended, 0);
  });
}

if (full) {
  test('appmaster: a second one stands by without a JobManager and takes over', takeOver);
}
