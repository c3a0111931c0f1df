import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { until } from '#test/world/until.ts';
import { startZooKeeper } from '#test/world/zookeeper.ts';
import { flinkVersions } from './flink.ts';
import { note, startSession } from './session.ts';

for (const version of flinkVersions) {
  describe(`driver: a highly available JobManager of Flink ${version}`, () => {
    test('driver: a JobManager that comes back takes its workers over and asks for none', async (t) => {
      const zooKeeper = await startZooKeeper();
      t.after(() => zooKeeper.stop());
      const storage = await mkdtemp(join(tmpdir(), 'drey-driver-ha-'));
      t.after(() => rm(storage, { recursive: true, force: true }));
      const session = await startSession(version, {
        'high-availability.type': 'zookeeper',
        'high-availability.storageDir': `file://${storage}`,
        'high-availability.cluster-id': '/driver-test',
        'high-availability.zookeeper.quorum': zooKeeper.servers,
        'high-availability.zookeeper.client.session-timeout': 4000,
        'resourcemanager.previous-worker.recovery.timeout': '10 s',
        'execution.checkpointing.interval': '1 s',
      });
      t.after(() => session.stop());
      const { demand, flink } = session;
      const jobId = await session.submit(4);
      await flink.rest.running(jobId);
      assert.equal(demand.workers.length, 2);

      const killed = performance.now();
      session.jobManager.kill('SIGKILL');
      await session.jobManager.ended;
      // TaskManagers register meanwhile: none may be turned away before its worker is known.
      let recovers = 0;
      demand.script = ({ verb }) => {
        if (verb === 'recover') recovers += 1;
        return verb === 'recover' && recovers <= 2 ? 'lost' : undefined;
      };
      const second = flink.startJobManager();
      await until(() => recovers === 3, { deadlineMs: 60_000, what: 'recover' });
      note('SIGKILL of the JobManager to recover', killed);
      await flink.rest.serving();
      await flink.rest.running(jobId);
      note('SIGKILL of the JobManager to job RUNNING', killed);
      assert.equal(demand.workers.length, 2, 'the workers are the same');
      assert.equal(demand.count('release'), 0);
      assert.match(await second.log(), /Recovered 2 workers from previous attempt/);

      const [victim] = demand.workers;
      victim?.part?.kill('SIGKILL');
      await until(() => demand.workers.length === 3, { deadlineMs: 60_000, what: 'a request' });
      await until(() => victim?.confirmed, { deadlineMs: 60_000, what: 'the end is confirmed' });
      await flink.rest.running(jobId);
      assert.deepEqual(
        demand.workers.map(({ n }) => n),
        [1, 2, 1],
        'the new session counts anew',
      );
    });
  });
}
