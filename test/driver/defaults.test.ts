import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { requestMessage } from '#proto/messages.ts';
import { flinkVersions, prepareFlink } from './flink.ts';

const main = 'io.drey.flink.WorkerDefaults';
const line = requestMessage.pick({
  cpus: true,
  memMb: true,
  slots: true,
  gpus: true,
  jvm: true,
  dynamic: true,
});

for (const version of flinkVersions) {
  describe(`driver: the configured worker of Flink ${version}`, () => {
    const cpusOf = async (settings: Readonly<Record<string, string>>): Promise<number> => {
      const flink = await prepareFlink(version, {});
      const { stdout } = await flink.runMain(main, settings);
      await flink.stop();
      return z.object({ cpus: z.number() }).parse(JSON.parse(stdout)).cpus;
    };

    test('driver: one line of JSON says what the configured worker needs', async () => {
      const flink = await prepareFlink(version, { 'taskmanager.memory.process.size': '272m' });
      const { code, stdout, stderr } = await flink.runMain(main);
      assert.equal(code, 0, stderr);
      assert.equal(stdout.trim().split('\n').length, 1, stdout);
      const worker = line.parse(JSON.parse(stdout));
      const { cpus, memMb, slots, gpus } = worker;
      assert.deepEqual({ cpus, memMb, slots, gpus }, { cpus: 2, memMb: 272, slots: 2, gpus: 0 });
      assert.match(worker.jvm, /^-Xmx83886080 -Xms83886080 /);
      assert.ok(worker.dynamic.includes('taskmanager.memory.managed.size=0b'));
      await flink.stop();
    });

    test('driver: cpus are taskmanager.cpu.cores, else the Mesos key, else one per slot', async () => {
      const mesos = { 'mesos.resourcemanager.tasks.cpus': '0.5' };
      assert.equal(await cpusOf({ ...mesos, 'taskmanager.cpu.cores': '1.5' }), 1.5);
      assert.equal(await cpusOf(mesos), 0.5);
      assert.equal(await cpusOf({ 'mesos.resourcemanager.tasks.cpus': '0' }), 2);
    });

    test('driver: GPUs come from Flink, else from the Mesos key', async () => {
      const flink = await prepareFlink(version, {});
      const gpusOf = async (settings: Readonly<Record<string, string>>): Promise<number> =>
        line.parse(JSON.parse((await flink.runMain(main, settings)).stdout)).gpus;
      assert.equal(await gpusOf({ 'mesos.resourcemanager.tasks.gpus': '2' }), 2);
      const asked = { 'external-resources': 'gpu', 'external-resource.gpu.amount': '3' };
      assert.equal(await gpusOf(asked), 3);
      await flink.stop();
    });

    test('driver: memory that does not add up is one sentence and exit code 1', async () => {
      const flink = await prepareFlink(version, { 'taskmanager.memory.process.size': '100m' });
      const { code, stdout, stderr } = await flink.runMain(main);
      assert.equal(code, 1);
      assert.equal(stdout, '');
      assert.match(stderr, /^The TaskManager's configuration does not add up: /m);
      await flink.stop();
    });
  });
}
