import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { until } from '#test/world/until.ts';
import type { ScriptedWorker } from './demand.ts';
import { flinkVersions, surplusHoldMs } from './flink.ts';
import { note, type Session, startSession } from './session.ts';

const long = { deadlineMs: 60_000 } as const;

for (const version of flinkVersions) {
  describe(`driver: workers that Flink ${version} wants no more`, () => {
    let session: Session;
    let heardBefore = 0;
    before(async () => {
      session = await startSession(version);
    });
    after(() => session?.stop());
    beforeEach(() => {
      session.demand.waits = true;
      heardBefore = session.demand.heard.length;
    });
    const releases = (): readonly unknown[] =>
      session.demand.heard
        .slice(heardBefore)
        .filter(({ verb }) => verb === 'release')
        .map(({ message }) => message);

    test('driver: a request of a cancelled job is released by its number when nobody else wanted it', async () => {
      const { jobId, worker } = await submitted(session);
      const after = await cancelledToConfirmed(session, jobId, worker);
      note('cancel to the end of the waiting worker', after);
      assert.ok(performance.now() - after > surplusHoldMs, 'not before its time');
      assert.deepEqual(releases(), [{ session: worker.session, n: worker.n }]);
      // A late copy of the request made another worker: it is given back as well.
      const late = { session: worker.session, n: worker.n, worker: 'taskmanager-99999' };
      session.demand.publish('launched', late);
      const givenBack = () =>
        session.demand.heard.some(({ message }) => message.worker === late.worker);
      await until(givenBack, { ...long, what: 'the late worker is released' });
    });

    test('driver: a launched worker of a cancelled job is released when it has not registered', async () => {
      const { jobId, worker } = await submitted(session);
      worker.state = 'launching';
      const { id, n } = worker;
      session.demand.publish('launched', { session: worker.session, n, worker: id });
      const known = async () =>
        (await session.jobManager.log()).includes(`Requested worker ${id} with`);
      await until(known, { ...long, what: 'Flink knows the worker' });
      const after = await cancelledToConfirmed(session, jobId, worker);
      assert.ok(performance.now() - after > surplusHoldMs, 'not before its time');
      assert.deepEqual(releases(), [{ session: worker.session, worker: id }]);
    });
  });

  test(`driver: the worker of a cancelled job of Flink ${version} is kept for the next one`, async (t) => {
    // Longer than a slow machine needs from one job to the next.
    const session = await startSession(version, { 'drey.driver.surplus-hold': '30 s' });
    t.after(() => session.stop());
    session.demand.waits = true;
    const { jobId } = await submitted(session);
    await session.flink.rest.cancel(jobId);
    const next = await session.submit(2);
    session.demand.launch(true);
    await session.flink.rest.running(next);
    assert.equal(session.demand.count('release'), 0);
    assert.equal(session.demand.workers.length, 1);
  });
}

/** Submits a job and resolves when its one worker is asked for. */
async function submitted(
  session: Session,
): Promise<{ readonly jobId: string; readonly worker: ScriptedWorker }> {
  const jobId = await session.submit(2);
  const waiting = () => session.demand.workers.find(({ state }) => state === 'wanted');
  return { jobId, worker: await until(waiting, { ...long, what: 'a request' }) };
}

/** Resolves to the moment of the cancellation, once the worker's end is confirmed. */
async function cancelledToConfirmed(
  session: Session,
  jobId: string,
  worker: ScriptedWorker,
): Promise<number> {
  const cancelled = performance.now();
  await session.flink.rest.cancel(jobId);
  await until(() => worker.confirmed, { ...long, what: 'the end is confirmed' });
  return cancelled;
}
