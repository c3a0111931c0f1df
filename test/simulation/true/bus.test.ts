import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Bus } from '#runtime/bus/bus.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import { startNats } from '#test/world/nats.ts';
import { until } from '#test/world/until.ts';
import { SimBus } from '../world/bus/connection.ts';
import { BusServer } from '../world/bus/server.ts';
import { Life } from '../world/life.ts';
import { calmBus } from '../world/weather.ts';
import { type BusWorld, scenarios } from './bus.ts';
import { simulatedTime } from './time.ts';

/** The simulated NATS and a real nats-server: the same scenarios, the same outcomes. */

const deadlineMs = 60_000;

interface RealWorld extends BusWorld {
  close(): Promise<void>;
}

async function realWorld(): Promise<RealWorld> {
  const nats = await startNats();
  const buses: Bus[] = [];
  const all = (connected: boolean) =>
    until(() => buses.every((bus) => bus.connected === connected), {
      deadlineMs,
      what: `every client is ${connected ? 'back' : 'cut off'}`,
    });
  return {
    bus: async () => {
      const bus = await connectBus({ servers: [nats.url], name: 'test', clock: systemClock });
      buses.push(bus);
      return bus;
    },
    die: async () => {
      await nats.kill();
      await all(false);
    },
    revive: async () => {
      await nats.restart();
      await all(true);
    },
    finish: (promise) => promise,
    until: async (condition, what) => {
      await until(condition, { deadlineMs, what });
    },
    close: async () => {
      await Promise.all(buses.map((bus) => bus.close()));
      await nats.stop();
    },
  };
}

function simulatedWorld(seed: string): BusWorld {
  const { world, finish, until: holds } = simulatedTime(seed, deadlineMs);
  const server = new BusServer(world, calmBus());
  const buses: SimBus[] = [];
  const downMs = 500;
  return {
    bus: async () => {
      const bus = new SimBus(server, new Life(world, `client-${buses.length}`));
      buses.push(bus);
      return bus;
    },
    die: async () => {
      for (const bus of buses) bus.cut(downMs);
    },
    revive: () => holds(() => buses.every((bus) => bus.connected), 'every client is back'),
    finish,
    until: holds,
  };
}

for (const { name, run, sees } of scenarios) {
  test(`simulation is true: ${name}`, async (t) => {
    const real = await realWorld();
    t.after(() => real.close());
    assert.deepEqual(await run(real), sees, 'a real nats-server');
    for (let seed = 1; seed <= 20; seed += 1) {
      assert.deepEqual(await run(simulatedWorld(`${seed}`)), sees, `simulated, seed ${seed}`);
    }
  });
}
