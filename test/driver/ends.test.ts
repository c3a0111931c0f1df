import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { credsAuthenticator } from 'nats';
import { startNats } from '#test/world/nats.ts';
import { until } from '#test/world/until.ts';
import { operator } from './credentials.ts';
import { type ScriptedDemand, startDemand } from './demand.ts';
import { type Flink, type FlinkVersion, flinkVersions, prepareFlink } from './flink.ts';
import { cluster, driverSettings, note, startSession } from './session.ts';

const full = process.env.DREY_FULL === '1';

for (const version of flinkVersions) {
  describe(`driver: how a JobManager of Flink ${version} starts`, () => itStarts(version));
  describe(`driver: how a JobManager of Flink ${version} ends`, () => itEnds(version));
  describe(`driver: what a worker of Flink ${version} needs`, () => itSizes(version));
}

function itSizes(version: FlinkVersion): void {
  test('driver: CPUs and GPUs of a worker come from the keys of the old integration', async (t) => {
    const session = await startSession(version, {
      'mesos.resourcemanager.tasks.cpus': 0.5,
      'mesos.resourcemanager.tasks.gpus': 2,
    });
    t.after(() => session.stop());
    session.demand.waits = true;
    await session.submit(2);
    await until(() => session.demand.workers.length === 1, {
      deadlineMs: 60_000,
      what: 'a request',
    });
    const { cpus, gpus } = session.demand.workers[0]?.request ?? {};
    assert.deepEqual({ cpus, gpus }, { cpus: 0.5, gpus: 2 });
  });
}

function itEnds(version: FlinkVersion): void {
  test('driver: a JobManager whose side another one took over ends with an error', async (t) => {
    const session = await startSession(version);
    t.after(() => session.stop());
    session.demand.script = ({ verb }) =>
      verb === 'request' ? { status: 'superseded', message: 'by a newer one' } : undefined;
    await session.submit(2);
    assert.equal(await session.jobManager.ended, 2);
    const [request] = session.demand.heard.filter(({ verb }) => verb === 'request');
    note('superseded to exit', performance.now() - (Date.now() - (request?.at ?? 0)));
    assert.match(await session.jobManager.log(), /another JobManager took over: by a newer one/);
    assert.equal(session.demand.count('request'), 1);
    assert.equal(session.demand.count('deregister'), 0);
  });

  test('driver: a JobManager that asks for nothing learns that another one took over', async (t) => {
    const session = await startSession(version);
    t.after(() => session.stop());
    session.demand.script = ({ verb }) =>
      verb === 'confirm' ? { status: 'superseded', message: 'by one that came late' } : undefined;
    assert.equal(await session.jobManager.ended, 2);
    assert.match(await session.jobManager.log(), /another JobManager took over: by one that came/);
  });

  test('driver: a JobManager that drey refuses for a minute ends with the reason', async (t) => {
    const { flink, demand } = await prepare(t, version);
    // In the quick form drey changes its mind.
    const refusals = full ? Number.POSITIVE_INFINITY : 2;
    demand.script = () =>
      demand.count('recover') <= refusals
        ? { status: 'refused', message: 'drey.demand is fixed' }
        : undefined;
    const jobManager = flink.startJobManager();
    const log = async (): Promise<string> => jobManager.log();
    if (full) {
      assert.equal(await jobManager.ended, 2);
      assert.match(
        await log(),
        /FlinkException: drey refused this JobManager: drey.demand is fixed/,
      );
    } else {
      await until(async () => (await log()).includes('Recovered 0 workers'), {
        deadlineMs: 60_000,
        what: 'the driver has recovered',
      });
      assert.equal(demand.count('recover'), 3);
    }
  });

  test('driver: SIGTERM ends the JobManager and leaves the workers to the next one', async (t) => {
    const session = await startSession(version);
    t.after(() => session.stop());
    const { demand, flink, jobManager } = session;
    const jobId = await session.submit(2);
    await flink.rest.running(jobId);
    const asked = performance.now();
    jobManager.kill('SIGTERM');
    assert.equal(await jobManager.ended, 143);
    note('SIGTERM to exit', asked);
    assert.equal(demand.count('deregister'), 0);
    assert.equal(demand.count('release'), 0);
    assert.deepEqual(
      demand.workers.map(({ state }) => state),
      ['launching'],
    );
  });

  test('driver: without drey the end of the cluster waits ten seconds and no longer', async (t) => {
    const session = await startSession(version);
    t.after(() => session.stop());
    session.demand.script = ({ verb }) => (verb === 'deregister' ? 'lost' : undefined);
    const asked = performance.now();
    await session.flink.rest.shutDown();
    assert.equal(await session.jobManager.ended, 0);
    note('DELETE /cluster without an answer to exit', asked);
    assert.ok(performance.now() - asked < 15_000);
    assert.ok(session.demand.count('deregister') >= 4, 'asked again and again');
  });
}

function itStarts(version: FlinkVersion): void {
  test('driver: NATS and drey may come up after the JobManager, NATS with a password', async (t) => {
    const nats = await startNats({
      configuration: 'authorization { user: flink, password: "s3cret#1" }',
    });
    t.after(() => nats.stop());
    await nats.kill();
    const flink = await prepareFlink(version, {
      ...driverSettings(nats.url),
      'drey.nats.user': 'flink',
      'drey.nats.password': 's3cret#1',
    });
    t.after(() => flink.stop());
    const jobManager = flink.startJobManager();
    await flink.rest.serving();
    await until(async () => (await jobManager.log()).includes('is not reachable'), {
      deadlineMs: 60_000,
      what: 'the driver says that NATS is away',
    });
    await nats.restart();
    const back = performance.now();
    const servers = { servers: nats.url, user: 'flink', pass: 's3cret#1' };
    const demand = await startDemand(servers, cluster, () => undefined);
    t.after(() => demand.stop());
    await until(() => demand.count('recover') === 1, { deadlineMs: 60_000, what: 'recover' });
    note('NATS start to recover', back);
    assert.ok(!(await jobManager.log()).includes('s3cret'), 'the password is not logged');
  });

  test('driver: a credentials file of NATS is enough to reach it', async (t) => {
    const { configuration, credentials } = operator();
    const nats = await startNats({ configuration });
    t.after(() => nats.stop());
    const dir = await mkdtemp(join(tmpdir(), 'drey-driver-creds-'));
    t.after(() => rm(dir, { recursive: true, force: true }));
    const file = join(dir, 'flink.creds');
    await writeFile(file, credentials);
    const flink = await prepareFlink(version, {
      ...driverSettings(nats.url),
      'drey.nats.credentials': file,
    });
    t.after(() => flink.stop());
    const authenticator = credsAuthenticator(new TextEncoder().encode(credentials));
    const demand = await startDemand(
      { servers: nats.url, authenticator },
      cluster,
      () => undefined,
    );
    t.after(() => demand.stop());
    flink.startJobManager();
    await until(() => demand.count('recover') === 1, { deadlineMs: 60_000, what: 'recover' });
  });

  test('driver: a JobManager without its keys says which and exits 1', async (t) => {
    const flink = await prepareFlink(version, { 'drey.nats.servers': 'nats://127.0.0.1:1' });
    t.after(() => flink.stop());
    const main = 'io.drey.flink.DreySessionEntrypoint';
    const without = await flink.runMain(main);
    assert.equal(without.code, 1);
    assert.match(without.stderr, /^The JobManager cannot start: drey.cluster is not set/m);
    const wrong = await flink.runMain(main, { 'drey.cluster': 'a.b' });
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /drey.cluster "a.b" may hold letters/);
    const cluster = { 'drey.cluster': 'a' };
    const server = await flink.runMain(main, { ...cluster, 'drey.nats.servers': 'nats://a b' });
    assert.equal(server.code, 1);
    assert.match(server.stderr, /^The JobManager cannot start: drey.nats.servers cannot be used/m);
    const file = await flink.runMain(main, { ...cluster, 'drey.nats.credentials': '/nowhere' });
    assert.equal(file.code, 1);
    assert.match(file.stderr, /drey.nats.credentials names a file that cannot be read: .nowhere/);
  });
}

async function prepare(
  t: TestContext,
  version: FlinkVersion,
): Promise<{ readonly flink: Flink; readonly demand: ScriptedDemand }> {
  const nats = await startNats();
  t.after(() => nats.stop());
  const flink = await prepareFlink(version, driverSettings(nats.url));
  t.after(() => flink.stop());
  const demand = await startDemand(nats.url, cluster, () => undefined);
  t.after(() => demand.stop());
  return { flink, demand };
}
