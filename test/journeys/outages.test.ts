import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { type FlinkVersion, flinkVersions } from '#test/driver/flink.ts';
import { type Mesos, startMesos } from '#test/world/mesos.ts';
import { gone, type Session, startSession } from '#test/world/session.ts';
import { until } from '#test/world/until.ts';
import { inWorld, type World } from '#test/world/world.ts';
import { note, seconds } from './notes.ts';
import { submit } from './phases.ts';

const full = process.env.DREY_FULL === '1';
/** Flink's ZooKeeper client, its heartbeats and a JVM's start, on a busy machine. */
const patienceMs = 300_000;

/**
 * Without it a TaskManager leaves its resource manager as soon as its connection to ZooKeeper breaks,
 * and one that still leads at that moment stops it: Flink's own decision, docs/reliability.md.
 */
const tolerate = 'high-availability.zookeeper.client.tolerate-suspended-connections';

/** A session with a job that runs and keeps checkpoints. */
interface Stage {
  readonly world: World;
  readonly mesos: Mesos;
  readonly session: Session;
  readonly jobId: string;
  /** Where the master keeps what it was told, over its own restarts. */
  readonly transcript: string;
}

/** What happens to the job's world; resolves when everything that was taken away is there again. */
type Outage = readonly [what: string, strike: (stage: Stage) => Promise<void>];

const jobManager: Outage = ['SIGKILL of the JobManager', killJobManager];
const servers: readonly Outage[] = [
  ['restart of nats-server', ({ world }) => world.nats.restart()],
  ['SIGKILL and restart of one ZooKeeper server', ({ world }) => world.zookeeper.restart(0)],
  ['SIGKILL and restart of all ZooKeeper servers', restartZooKeeper],
  ['SIGKILL and restart of the Mesos master', restartMaster],
];
const outages = full ? [jobManager, ...servers] : [jobManager];

for (const version of flinkVersions) {
  test(`journeys: a job of ${version} with checkpoints goes on after an outage, on the same TaskManagers`, () =>
    inWorld(
      async (world) => {
        const stage = await begin(world, version);
        for (const outage of outages) await undergo(stage, outage);
        if (full) await replaced(stage);
      },
      { zookeeper: 3 },
    ));
}

async function begin(world: World, version: FlinkVersion): Promise<Stage> {
  const transcript = join(world.dir, 'mesos-transcript.jsonl');
  const mesos = await startMesos(world, {
    agents: 2,
    flags: [`--transcript=${transcript}`, `--registry=${join(world.dir, 'mesos-registry.json')}`],
  });
  const settings = { [tolerate]: 'true' };
  const session = await startSession(world, { master: mesos.address, version, settings });
  const { jobId } = await submit(session, mesos, 4, 2);
  const stage = { world, mesos, session, jobId, transcript };
  await checkpointSince(stage, 0);
  return stage;
}

async function undergo(stage: Stage, [what, strike]: Outage): Promise<void> {
  const { session, jobId } = stage;
  const before = await workerPids(session);
  const launched = await launchCount(stage);
  const started = performance.now();
  await strike(stage);
  const whole = Date.now();
  const away = seconds(started);
  await session.rest.running(jobId, patienceMs);
  await checkpointSince(stage, whole);
  await session.rest.running(jobId, patienceMs);
  note(`${what}: job RUNNING and a checkpoint completed after ${seconds(started)} s`, {
    'back after s': away,
  });
  assert.deepEqual(await workerPids(session), before, `${what}: the TaskManagers are the same`);
  assert.equal(await launchCount(stage), launched, `${what}: nothing was launched`);
  assert.equal(await session.rest.jobState(jobId), 'RUNNING');
}

async function killJobManager({ session }: Stage): Promise<void> {
  const pid = await session.pidOf('JobManager');
  process.kill(pid, 'SIGKILL');
  await gone(pid);
  await until(async () => (await session.pidOf('JobManager')) !== pid, {
    deadlineMs: patienceMs,
    what: 'the JobManager is started again',
  });
  await session.rest.serving();
}

async function restartZooKeeper({ world: { zookeeper } }: Stage): Promise<void> {
  const all = zookeeper.addresses.map((_, n) => n);
  await Promise.all(all.map((n) => zookeeper.kill(n)));
  await Promise.all(all.map((n) => zookeeper.restart(n)));
}

async function restartMaster({ mesos }: Stage): Promise<void> {
  await mesos.master.kill('SIGKILL');
  await mesos.master.restart();
  await until(async () => (await mesos.framework()).active, {
    deadlineMs: patienceMs,
    what: 'the framework is registered with the new master',
  });
  await until(async () => (await mesos.framework()).tasks.length === 2, {
    deadlineMs: patienceMs,
    what: 'the agents have brought their tasks back',
  });
}

/** After all of it drey still does its work: a TaskManager that dies is replaced by exactly one. */
async function replaced(stage: Stage): Promise<void> {
  const { session, jobId } = stage;
  const before = await session.rest.taskManagers();
  const launched = await launchCount(stage);
  const [victim = ''] = before;
  process.kill(session.pidOfWorker(victim), 'SIGKILL');
  await session.rest.stumbled(jobId);
  await session.rest.running(jobId, patienceMs);
  const after = await session.rest.taskManagers();
  assert.equal(after.filter((id) => !before.includes(id)).length, 1);
  await checkpointSince(stage, Date.now());
  assert.equal(await launchCount(stage), launched + 1, 'exactly one task was launched');
}

const checkpoints = z.object({
  latest: z.object({ completed: z.object({ trigger_timestamp: z.number() }).nullish() }),
});

/** Resolves when the job has completed a checkpoint that was begun after that time. */
async function checkpointSince({ session, jobId }: Stage, time: number): Promise<void> {
  await until(
    async () => {
      const answer = await fetch(`${session.rest.url}/jobs/${jobId}/checkpoints`);
      const { latest } = checkpoints.parse(await answer.json());
      return (latest.completed?.trigger_timestamp ?? 0) > time;
    },
    { deadlineMs: patienceMs, what: 'a checkpoint is completed', everyMs: 100 },
  );
}

/** Tasks in ACCEPTs that a master has taken, over all masters. */
async function launchCount({ transcript }: Stage): Promise<number> {
  const line = z.object({
    call: z.string().optional(),
    status: z.number().optional(),
    tasks: z.array(z.string()).optional(),
  });
  const lines = (await readFile(transcript, 'utf8')).trimEnd().split('\n');
  const taken = lines
    .map((text) => line.parse(JSON.parse(text)))
    .filter(({ call, status }) => call === 'ACCEPT' && status === 202);
  return taken.flatMap(({ tasks = [] }) => tasks).length;
}

async function workerPids(session: Session): Promise<Readonly<Record<string, number>>> {
  const ids = await session.rest.taskManagers();
  return Object.fromEntries([...ids].sort().map((id) => [id, session.pidOfWorker(id)]));
}
