import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FlinkVersion, flinkVersions } from '#test/driver/flink.ts';
import { leaderOf } from '#test/world/cluster.ts';
import { cpuSeconds, residentMb } from '#test/world/cpu.ts';
import { type Mesos, startMesos } from '#test/world/mesos.ts';
import type { Part } from '#test/world/part.ts';
import { gone, type Session, startSession } from '#test/world/session.ts';
import { until } from '#test/world/until.ts';
import { inWorld, type World } from '#test/world/world.ts';
import { compare, note, seconds } from './notes.ts';
import { endlessJob, type Phases, submit } from './phases.ts';

const full = process.env.DREY_FULL === '1';
const idleSeconds = 3;

/** One session through all that may happen to it; heartbeats as Flink has them by default (10 s, 50 s). */
interface Stage {
  readonly world: World;
  readonly mesos: Mesos;
  readonly session: Session;
  readonly standby: Part;
}

for (const version of flinkVersions) {
  test(`journeys: a streaming job of ${version} outlives its TaskManager, the gateway and all functions, and leaves nothing idle`, () =>
    inWorld((world) => journey(world, version)));
}

async function journey(world: World, version: FlinkVersion): Promise<void> {
  const started = performance.now();
  const mesos = await startMesos(world, { agents: 2 });
  const session = await startSession(world, {
    master: mesos.address,
    version,
    settings: { 'resourcemanager.taskmanager-timeout': `${idleSeconds} s` },
  });
  note(`Mesos, ZooKeeper, NATS, appmaster and JobManager up after ${seconds(started)} s`);
  const standby = await session.startStandby();
  const stage = { world, mesos, session, standby };
  const first = await submit(session, mesos, 4, 2);
  showPhases('p=4 cold: first TaskManagers of this JobManager', first, cold);
  await checkpoint(session, first.jobId);
  await taskManagerKilled(stage, first.jobId);
  await gatewayKilled(stage, first);
  await functionsKilled(stage);
  await released(stage);
  await idle(stage);
  const warm = await submit(session, mesos, 4, 2);
  showPhases('p=4 warm: later TaskManagers of the same JobManager', warm, warmFigures);
  await launchedOnce(stage);
}

const cold = ['0.76', '2.01', '3.35', '3.98', '8.41', '9.09', '10.12 (floor 6.47)', '3.22'];
const warmFigures = ['0.09', '1.15', '1.77', '1.80', '6.39', '6.60', '7.46 (floor 6.47)', '1.71'];

function showPhases(title: string, phases: Phases, theirs: readonly string[]): void {
  const rows: [string, number][] = [
    ['first worker request', phases.requested],
    ['ACCEPT', phases.accepted],
    ['TASK_RUNNING, first', phases.firstRunning],
    ['TASK_RUNNING, last', phases.lastRunning],
    ['TaskManager registered, first', phases.firstRegistered],
    ['TaskManager registered, last', phases.lastRegistered],
    ['job RUNNING', phases.jobRunning],
    ['own part: request -> last TASK_RUNNING', phases.lastRunning - phases.requested],
  ];
  compare(
    title,
    rows.map(([what, ours], n) => [what, ours, theirs[n] ?? ''] as const),
  );
}

/** Resolves when the job has completed a checkpoint since now. */
async function checkpoint(session: Session, jobId: string): Promise<void> {
  const completed = async (): Promise<number> => {
    const answer = await fetch(`${session.rest.url}/jobs/${jobId}/checkpoints`);
    const { counts } = (await answer.json()) as { counts?: { completed?: number } };
    return counts?.completed ?? 0;
  };
  const before = await completed();
  await until(async () => (await completed()) > before, {
    deadlineMs: 60_000,
    what: 'a checkpoint is completed',
    everyMs: 100,
  });
}

async function taskManagerKilled({ session, mesos }: Stage, jobId: string): Promise<void> {
  const before = await session.rest.taskManagers();
  const [victim = ''] = before;
  const launchedBefore = await launchCount(mesos);
  const pid = session.pidOfWorker(victim);
  const at = Date.now();
  const started = performance.now();
  process.kill(pid, 'SIGKILL');
  await until(async () => !(await allRunning(session, jobId)), {
    deadlineMs: 60_000,
    what: 'the job notices',
  });
  const noticed = (performance.now() - started) / 1000;
  await session.rest.running(jobId, 180_000);
  const runs = (performance.now() - started) / 1000;
  const after = await session.rest.taskManagers();
  const fresh = after.filter((id) => !before.includes(id));
  assert.equal(fresh.length, 1, 'exactly one replacement is registered');
  assert.equal(await launchCount(mesos), launchedBefore + 1, 'exactly one task was launched');
  const [replacement] = (await session.drey.workers()).filter(({ id }) => id === fresh[0]);
  const since = (time: number | undefined): number => ((time ?? Number.NaN) - at) / 1000;
  compare('SIGKILL of a TaskManager, default heartbeats', [
    ['job has noticed', noticed, '0.12 (resource manager only)'],
    ['replacement requested', since(replacement?.times.wanted), '0.12'],
    ['ACCEPT', since(replacement?.launch?.at), '1.18'],
    ['TASK_RUNNING', since(replacement?.times.running), '1.72'],
    ['job RUNNING', runs, '48.35 by default, 10.87 tuned'],
  ]);
  // A superfluous request would come with the next declaration of needed resources.
  await checkpoint(session, jobId);
  assert.equal(await launchCount(mesos), launchedBefore + 1, 'and no second one later');
}

async function gatewayKilled(stage: Stage, first: Phases): Promise<void> {
  const { session, mesos, standby } = stage;
  const framework = await mesos.framework();
  const pids = await workerPids(session);
  const { epoch } = await session.drey.framework();
  const started = performance.now();
  process.kill(await session.pidOf('gateway'), 'SIGKILL');
  await leaderOf(session.drey, [standby], 30_000);
  await until(async () => (await mesos.framework()).active, {
    deadlineMs: 30_000,
    what: 'the framework is connected again',
  });
  note(`leading gateway killed: the standby is registered after ${seconds(started)} s`);
  assert.ok((await session.drey.framework()).epoch > epoch);
  assert.equal((await mesos.framework()).id, framework.id, 'the framework keeps its id');
  const second = await submit(session, mesos, 2, 1);
  note(`a new job has its TaskManager and runs ${second.jobRunning.toFixed(2)} s after submission`);
  const now = await workerPids(session);
  for (const [id, pid] of pids) assert.equal(now.get(id), pid, `${id} was not restarted`);
  assert.equal(await session.rest.jobState(first.jobId), 'RUNNING');
}

/** All functions die while workers are being launched. */
async function functionsKilled({ session, mesos }: Stage): Promise<void> {
  const before = await launchCount(mesos);
  const functions = await session.pidOf('functions');
  const started = performance.now();
  const jobId = await session.rest.submit(session.examples, endlessJob, 6);
  await until(async () => (await launchCount(mesos)) > before || (await someWanted(session)), {
    deadlineMs: 30_000,
    what: 'workers are wanted',
    everyMs: 2,
  });
  process.kill(functions, 'SIGKILL');
  const reached = (await launchCount(mesos)) - before;
  await gone(functions);
  await session.rest.running(jobId, 180_000);
  note(
    `all functions killed with ${reached} of 3 TaskManagers launched: job RUNNING ` +
      `${seconds(started)} s after submission`,
  );
  assert.equal((await launchCount(mesos)) - before, 3, 'three TaskManagers, none twice');
}

async function released({ session, mesos }: Stage): Promise<void> {
  const jobs = await runningJobs(session);
  const started = performance.now();
  await Promise.all(jobs.map((jobId) => session.rest.cancel(jobId)));
  await until(async () => (await mesos.framework()).tasks.length === 0, {
    deadlineMs: 60_000,
    what: 'every idle TaskManager is released',
  });
  compare(`${jobs.length} jobs cancelled, TaskManagers idle for ${idleSeconds} s`, [
    ['all TaskManagers killed', Number(seconds(started)), '5.9 (idle time 3 s)'],
  ]);
  await until(async () => (await mesos.framework()).suppressed_roles.length > 0, {
    deadlineMs: 15_000,
    what: 'the framework is suppressed',
  });
  note(`suppressed ${seconds(started)} s after the cancel`);
}

/** Nothing is offered any more, and what stays uses next to nothing. */
async function idle({ session, mesos, standby }: Stage): Promise<void> {
  const { offers: before } = await mesos.history();
  const parts: [string, number][] = [
    ['gateway, leading', standby.pid],
    ['gateway, standby', await session.pidOf('gateway')],
    ['functions', await session.pidOf('functions')],
    ['supervisor', session.appmaster.pid],
    ['JobManager', await session.pidOf('JobManager')],
  ];
  const used = (): number[] => parts.map(([, pid]) => cpuSeconds(pid));
  const from = performance.now();
  const first = used();
  await new Promise((resolve) => setTimeout(resolve, full ? 20_000 : 6000));
  const lasted = (performance.now() - from) / 1000;
  const shares = used().map((now, n) => ((now - (first[n] ?? 0)) / lasted) * 100);
  note(
    `idle for ${lasted.toFixed(0)} s, percent of a core and MB resident (Flink 1.13: 3.1 %, 473 MB in all):`,
  );
  for (const [n, [name, pid]] of parts.entries()) {
    note(`  ${name}: ${shares[n]?.toFixed(1)} %, ${residentMb(pid)} MB`);
  }
  const { offers: after } = await mesos.history();
  assert.equal(after.made, before.made, 'no offer is made to an idle framework');
}

async function launchedOnce({ mesos, session }: Stage): Promise<void> {
  const { launches } = await mesos.history();
  const { id } = await session.drey.framework();
  assert.deepEqual(Object.keys(launches), [id], 'one framework from the beginning to the end');
  const twice = Object.entries(launches[id] ?? {}).filter(([, times]) => times !== 1);
  assert.deepEqual(twice, [], 'every TaskManager was launched once');
}

async function launchCount(mesos: Mesos): Promise<number> {
  const { launches } = await mesos.history();
  return Object.values(launches)
    .flatMap((tasks) => Object.values(tasks))
    .reduce((sum, times) => sum + times, 0);
}

async function someWanted(session: Session): Promise<boolean> {
  return (await session.drey.store.list(session.drey.paths.waiting)).length > 0;
}

async function workerPids(session: Session): Promise<ReadonlyMap<string, number>> {
  const ids = await session.rest.taskManagers();
  return new Map(ids.map((id) => [id, session.pidOfWorker(id)]));
}

async function jobs(session: Session): Promise<readonly { id: string; status: string }[]> {
  const answer = await fetch(`${session.rest.url}/jobs`);
  return ((await answer.json()) as { jobs: { id: string; status: string }[] }).jobs;
}

async function runningJobs(session: Session): Promise<readonly string[]> {
  return (await jobs(session)).filter(({ status }) => status === 'RUNNING').map(({ id }) => id);
}

async function allRunning(session: Session, jobId: string): Promise<boolean> {
  const answer = await fetch(`${session.rest.url}/jobs/${jobId}`);
  const { state, vertices } = (await answer.json()) as {
    state: string;
    vertices: { status: string }[];
  };
  return state === 'RUNNING' && vertices.every(({ status }) => status === 'RUNNING');
}
