import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from '#test/world/until.ts';
import type { ScriptedWorker } from './demand.ts';
import { flinkVersions } from './flink.ts';
import { note, type Session, startSession } from './session.ts';

/** Longer than an idle worker may stay, and than what follows from a message takes. */
const settleMs = 3500;
/** Longer than a slow machine needs to restart a job: else its worker would be asked for twice. */
const held = { 'drey.driver.surplus-hold': '10 s' };

/** One session, used by the tests one after the other. */
interface Run {
  session: Session;
  /** The job that the last test left running. */
  jobId: string;
}

for (const version of flinkVersions) {
  describe(`driver: a session of Flink ${version}`, () => {
    const run = {} as Run;
    before(async () => {
      run.session = await startSession(version, held);
    });
    after(() => run.session?.stop());
    itAsks(run);
    itReplaces(run);
    itWaits(run);
    itKeepsOrder(run);
    itEnds(run);
  });
}

/** What is asked for when a job needs slots. */
function itAsks(run: Run): void {
  test('driver: a job of parallelism 4 on workers of 2 slots asks for two at once and runs', async () => {
    const { demand, flink } = run.session;
    const submitted = performance.now();
    run.jobId = await run.session.submit(4);
    await until(() => demand.workers.length === 2, { deadlineMs: 60_000, what: 'two requests' });
    note('submit to two requests', submitted);
    const [first, second] = demand.heard.filter(({ verb }) => verb === 'request');
    assert.ok(first && second && second.at - first.at < 1000, 'both requests come together');
    await flink.rest.running(run.jobId);
    note('submit to job RUNNING', submitted);
    assert.equal(demand.workers.length, 2);
    assert.deepEqual(
      (await flink.rest.taskManagers()).toSorted(),
      demand.workers.map(({ id }) => id),
    );
  });

  test('driver: a request says what the worker needs, as Flink computed it', () => {
    const [worker] = run.session.demand.workers;
    assert.ok(worker);
    const { cpus, memMb, slots, gpus, jvm, dynamic } = worker.request;
    assert.deepEqual({ cpus, memMb, slots, gpus }, { cpus: 2, memMb: 272, slots: 2, gpus: 0 });
    const mb = 1024 * 1024;
    assert.equal(
      jvm,
      `-Xmx${80 * mb} -Xms${80 * mb} -XX:MaxDirectMemorySize=${32 * mb} -XX:MaxMetaspaceSize=${96 * mb}`,
    );
    assert.ok(dynamic.includes('taskmanager.numberOfTaskSlots=2'));
    assert.ok(dynamic.includes(`taskmanager.memory.task.heap.size=${32 * mb}b`));
    assert.ok(
      dynamic.every((property) => /^[a-z][\w.-]*=\S+$/.test(property)),
      `${dynamic}`,
    );
  });
}

/** Workers that end, are lost, or are not needed any more. */
function itReplaces(run: Run): void {
  test('driver: what another session is told changes nothing', async () => {
    const { demand, flink } = run.session;
    const [worker] = live(run);
    assert.ok(worker);
    demand.publish('ended', { session: 'another', worker: worker.id, why: 'not ours' });
    demand.publish('launched', { session: 'another', n: 1, worker: 'taskmanager-99999' });
    await passed(settleMs);
    assert.equal(demand.workers.length, 2);
    assert.equal(demand.count('release'), 0);
    assert.equal(demand.count('confirm'), 0);
    assert.equal(await flink.rest.jobState(run.jobId), 'RUNNING');
  });

  test('driver: a killed TaskManager is replaced by exactly one, and the job runs again', async () => {
    const { demand, flink } = run.session;
    const [victim] = live(run);
    const killed = performance.now();
    victim?.part?.kill('SIGKILL');
    await until(() => demand.workers.length === 3, { deadlineMs: 60_000, what: 'a request' });
    note('SIGKILL to the new request', killed);
    await flink.rest.stumbled(run.jobId);
    await flink.rest.running(run.jobId);
    note('SIGKILL to job RUNNING', killed);
    await until(() => victim?.confirmed, { deadlineMs: 30_000, what: 'the end is confirmed' });
    await passed(settleMs);
    assert.equal(demand.workers.length, 3);
  });

  test('driver: what happens while NATS is away is made up for when it is back', async () => {
    const { demand, flink, nats } = run.session;
    await nats.kill();
    const [victim] = live(run);
    victim?.part?.kill('SIGKILL');
    await until(() => victim?.state === 'ended', {
      deadlineMs: 30_000,
      what: 'the worker is gone',
    });
    await flink.rest.stumbled(run.jobId);
    const back = performance.now();
    await nats.restart();
    await until(() => demand.workers.length === 4, { deadlineMs: 60_000, what: 'a request' });
    note('NATS start to the new request', back);
    await flink.rest.running(run.jobId);
    note('NATS start to job RUNNING', back);
    assert.equal(demand.workers.length, 4);
  });

  test('driver: a cancelled job gives its idle workers back', async () => {
    const cancelled = performance.now();
    await cancelAndRelease(run);
    note('cancel to every end confirmed', cancelled);
    assert.deepEqual(await run.session.flink.rest.taskManagers(), []);
    const released = run.session.demand.heard.filter(({ verb }) => verb === 'release');
    const idle = run.session.demand.workers.slice(-2).map(({ id }) => id);
    for (const id of idle) {
      assert.equal(released.filter(({ message }) => message.worker === id).length, 1);
    }
  });
}

/** Requests that wait for offers. */
function itWaits(run: Run): void {
  test('driver: a request that waits for offers is repeated, keeps its worker, and ends on launched', async () => {
    const { demand, flink } = run.session;
    const before = demand.workers.length;
    const heard = demand.heard.length;
    demand.waits = true;
    run.jobId = await run.session.submit(2);
    const requests = () => demand.heard.slice(heard).filter(({ verb }) => verb === 'request');
    await until(() => requests().length >= 3, { deadlineMs: 60_000, what: 'two repeats' });
    const [first, second, third] = requests();
    assert.deepEqual(second?.message, first?.message);
    assert.deepEqual(third?.message, first?.message);
    assert.equal(demand.workers.length, before + 1);
    demand.waits = false;
    const repeats = requests().length;
    const launched = performance.now();
    demand.launch(true);
    await flink.rest.running(run.jobId);
    note('launched to job RUNNING', launched);
    assert.equal(requests().length, repeats, 'a launched request is not asked about again');
    await cancelAndRelease(run);
  });
}

/** Answers that are lost, late or negative. */
function itKeepsOrder(run: Run): void {
  test('driver: an end that overtakes its request is told after it, once, and Flink asks again', async () => {
    const { demand, flink } = run.session;
    const before = demand.workers.length;
    demand.waits = true;
    demand.script = ({ verb }) => (verb === 'request' ? 'lost' : undefined);
    run.jobId = await run.session.submit(2);
    await until(() => live(run).length === 1, { deadlineMs: 60_000, what: 'a request' });
    const [worker] = live(run);
    assert.ok(worker);
    demand.end(worker, 'ended at once');
    const asked = demand.count('request');
    await until(() => demand.count('request') >= asked + 2, {
      deadlineMs: 60_000,
      what: 'the request is repeated twice after the end was told',
    });
    assert.equal(worker.confirmed, false, 'held while its request is open');
    demand.waits = false;
    demand.script = () => undefined;
    await flink.rest.running(run.jobId);
    assert.equal(demand.workers.length, before + 2);
    const log = await run.session.jobManager.log();
    const requested = log.indexOf(`Requested worker ${worker.id} with`);
    const told = log.indexOf(`Worker ${worker.id} is terminated`);
    assert.ok(requested > 0 && told > requested, 'requested, then terminated');
    assert.equal(log.indexOf(`Worker ${worker.id} is terminated`, told + 1), -1, 'told once');
    await cancelAndRelease(run);
  });

  test('driver: a refused request is asked anew', async () => {
    const { demand, flink } = run.session;
    let refusals = 0;
    demand.script = ({ verb }) => {
      if (verb !== 'request' || refusals === 2) return undefined;
      refusals += 1;
      return { status: 'refused', message: 'the cluster is on hold' };
    };
    run.jobId = await run.session.submit(2);
    await flink.rest.running(run.jobId);
    assert.equal(refusals, 2);
    assert.match(await run.session.jobManager.log(), /the cluster is on hold/);
    await cancelAndRelease(run);
  });
}

/** The end of the cluster. */
function itEnds(run: Run): void {
  test('driver: DELETE /cluster tells drey of the end, and the JobManager exits 0', async () => {
    const { demand, flink, jobManager } = run.session;
    const asked = performance.now();
    await flink.rest.shutDown();
    assert.equal(await jobManager.ended, 0);
    note('DELETE /cluster to exit', asked);
    const [last] = demand.heard.filter(({ verb }) => verb === 'deregister');
    assert.equal(last?.message.status, 'SUCCEEDED');
  });
}

function live(run: Run): readonly ScriptedWorker[] {
  return run.session.demand.workers.filter(({ state }) => state !== 'ended');
}

async function cancelAndRelease(run: Run): Promise<void> {
  await run.session.flink.rest.cancel(run.jobId);
  await until(() => run.session.demand.workers.every(({ confirmed }) => confirmed), {
    deadlineMs: 60_000,
    what: 'every worker is released and its end confirmed',
  });
}

/** Lets time pass in which something unwanted would happen. */
function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
