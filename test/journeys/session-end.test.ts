import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FlinkVersion, flinkVersions } from '#test/driver/flink.ts';
import { familyOf } from '#test/world/cpu.ts';
import { leftoversOf } from '#test/world/leftovers.ts';
import { startMesos } from '#test/world/mesos.ts';
import { isAlive, startSession } from '#test/world/session.ts';
import { until } from '#test/world/until.ts';
import { inWorld, type World } from '#test/world/world.ts';
import { compare, note, seconds } from './notes.ts';
import { submit } from './phases.ts';

for (const version of flinkVersions) {
  test(`journeys: DELETE /cluster in ${version} tears the framework down, removes the records and ends with 0`, () =>
    inWorld((world) => journey(world, version)));
}

async function journey(world: World, version: FlinkVersion): Promise<void> {
  const mesos = await startMesos(world, { agents: 1 });
  const session = await startSession(world, { master: mesos.address, version });
  await submit(session, mesos, 2, 1);
  const { id } = await mesos.framework();
  const [worker = ''] = await session.rest.taskManagers();
  const taskManager = session.pidOfWorker(worker);
  const family = familyOf(session.appmaster.pid);
  const { ended } = session.appmaster;
  const started = performance.now();
  await session.rest.shutDown();
  const tornDown = until(
    async () => !(await mesos.frameworks()).some((framework) => framework.id === id),
    { deadlineMs: 60_000, what: 'the framework is torn down' },
  ).then(() => Number(seconds(started)));
  const taskManagerGone = until(() => !isAlive(taskManager), {
    deadlineMs: 60_000,
    what: 'the TaskManager is gone',
  }).then(() => Number(seconds(started)));
  const code = await ended;
  const exited = Number(seconds(started));
  compare('DELETE /cluster with a running job', [
    ['framework torn down', await tornDown, '0.03 after the JobManager'],
    ['TaskManager gone', await taskManagerGone, '0.72'],
    ['appmaster gone', exited, '0.72'],
    ['exit code', Number(code), '2 in 11 of 11'],
  ]);
  assert.equal(code, 0, 'the appmaster ends with 0');
  assert.deepEqual(
    family.filter((pid) => isAlive(pid)),
    [],
    'nothing that the appmaster started is left',
  );
  const servers = [
    ...world.zookeeper.pids,
    world.nats.pid,
    ...world.parts.filter((part) => part.running).map(({ pid }) => pid),
  ];
  const left = leftoversOf(world.dir).filter(({ pid }) => !servers.includes(pid));
  assert.deepEqual(left, [], 'no process is left but the servers and Mesos');
  await recordsGone(session.drey.store, session.drey.paths.base);
}

/** What stays says that the cluster has ended, and which ids were used. */
async function recordsGone(
  store: { list(path: string): Promise<readonly string[]> },
  base: string,
): Promise<void> {
  const kept: string[] = [];
  for (const name of await store.list(base)) {
    const children = await store.list(`${base}/${name}`);
    kept.push(name, ...children.map((child) => `${name}/${child}`));
  }
  note(`znodes left below ${base}: ${kept.join(' ') || 'none'}`);
  const folders = ['workers/', 'waiting/', 'due/', 'requests/', 'leaving/', 'agents/'];
  assert.deepEqual(
    kept.filter((name) => folders.some((folder) => name.startsWith(folder))),
    [],
    'no worker, index or request is left',
  );
  assert.deepEqual(await store.list('/flink'), [], "Flink's own subtree is gone too");
}
