import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { subjectsOf } from '#proto/subjects.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import { prepareFlink } from '#test/driver/flink.ts';
import { cluster, driverSettings } from '#test/driver/session.ts';
import { startNats } from '#test/world/nats.ts';
import { until } from '#test/world/until.ts';
import { SimBus } from '../world/bus/connection.ts';
import { BusServer } from '../world/bus/server.ts';
import { JobManager } from '../world/flink.ts';
import { Life } from '../world/life.ts';
import { calmBus } from '../world/weather.ts';
import { exchange, hears } from './driver.ts';
import { simulatedTime } from './time.ts';

/** The model of the driver and `DreyDriver.java` in a JobManager: the same exchange. */

const deadlineMs = 300_000;
const slotsPerWorker = 2;
const endlessJob = 'org.apache.flink.streaming.examples.windowing.TopSpeedWindowing';

// The quick form has the model alone: a JobManager takes a while to start.
if (process.env.DREY_FULL === '1') {
  test('simulation is true: the driver in a JobManager speaks as expected', inJobManager);
}

test('simulation is true: the model of the driver speaks the same', async () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const { world, until: holds } = simulatedTime(`${seed}`, deadlineMs);
    const server = new BusServer(world, calmBus());
    const subjects = subjectsOf('sim');
    let manager: JobManager | undefined;
    const heard = await exchange({
      bus: new SimBus(server, new Life(world, 'clerk')),
      subjects,
      start: async () => {
        manager = new JobManager(world, 'driver', server, subjects, 0, () => undefined);
      },
      need: async (workers) => manager?.need(workers),
      hasEnded: () => manager?.life.alive === false,
      until: holds,
    });
    assert.deepEqual(heard, hears, `seed ${seed}`);
  }
});

async function inJobManager(t: TestContext): Promise<void> {
  const nats = await startNats();
  t.after(() => nats.stop());
  const flink = await prepareFlink('2.3.0', driverSettings(nats.url));
  t.after(() => flink.stop());
  const bus = await connectBus({ servers: [nats.url], name: 'test', clock: systemClock });
  t.after(() => bus.close());
  let ended = false;
  let jobId = '';
  const heard = await exchange({
    bus,
    subjects: subjectsOf(cluster),
    start: async () => {
      void flink.startJobManager().ended.then(() => {
        ended = true;
      });
      await flink.rest.serving();
    },
    need: async (workers) => {
      if (workers === 0) await flink.rest.cancel(jobId);
      else jobId = await flink.rest.submit(flink.examples, endlessJob, workers * slotsPerWorker);
    },
    hasEnded: () => ended,
    until: async (condition, what) => {
      await until(condition, { deadlineMs, what });
    },
  });
  assert.deepEqual(heard, hears);
}
