import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '#runtime/clock.ts';
import type { Store } from '#runtime/store/store.ts';
import { connectStore } from '#runtime/store/zookeeper.ts';
import { type Relay, startRelay } from '#test/world/relay.ts';
import { until } from '#test/world/until.ts';
import { startZooKeeper, type ZooKeeperWorld } from '#test/world/zookeeper.ts';
import { Life } from '../world/life.ts';
import { Ensemble } from '../world/store/ensemble.ts';
import { SimStore } from '../world/store/session.ts';
import { calmStore } from '../world/weather.ts';
import { type Client, type StoreWorld, scenarios } from './store.ts';
import { simulatedTime } from './time.ts';

/** The simulated ZooKeeper and a real one of three servers: the same scenarios, the same outcomes. */

const sessionTimeoutMs = 6000;
const deadlineMs = 120_000;

let servers: ZooKeeperWorld;
const relays: Relay[] = [];
const stores: Store[] = [];

before(async () => {
  servers = await startZooKeeper({ servers: 3 });
});
after(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await Promise.all(relays.map((relay) => relay.close()));
  await servers.stop();
});

function realWorld(): StoreWorld {
  let clients = 0;
  return {
    client: async (): Promise<Client> => {
      const address = servers.addresses[clients % 3] ?? '';
      clients += 1;
      const relay = await startRelay(address);
      relays.push(relay);
      const store = await connectStore({
        servers: relay.address,
        sessionTimeoutMs,
        clock: systemClock,
      });
      stores.push(store);
      const connected = () =>
        until(() => store.session === 'connected', { deadlineMs, what: 'connected again' });
      const leaves = (state: string) =>
        until(() => store.session === state, { deadlineMs, what: `the session is ${state}` });
      return {
        store,
        cut: async () => {
          relay.hold();
          relay.cut();
          await leaves('suspended');
          relay.release();
          await connected();
        },
        losesAnswers: () => {
          relay.holdAnswers();
          // What was held is thrown away with the connection.
          void leaves('suspended').then(() => {
            relay.cut();
            relay.release();
          });
        },
        expires: async (held, other) => {
          relay.hold();
          relay.cut();
          await leaves('suspended');
          const gone = async () => (await other.read(held)) === undefined;
          await until(gone, { deadlineMs, what: 'the session has expired' });
          relay.release();
          await leaves('connected');
        },
      };
    },
    finish: (promise) => promise,
    until: async (condition, what) => {
      await until(condition, { deadlineMs, what });
    },
  };
}

function simulatedWorld(seed: string): StoreWorld {
  const { world, finish, until: holds } = simulatedTime(seed, deadlineMs);
  const ensemble = new Ensemble(world, calmStore());
  let clients = 0;
  return {
    client: async (): Promise<Client> => {
      clients += 1;
      const store = new SimStore(ensemble, new Life(world, `client-${clients}`), sessionTimeoutMs);
      await finish(store.connected());
      const away = (durationMs: number) =>
        new Promise<void>((resolve) => {
          store.cut(durationMs);
          const stop = store.onSession((state) => {
            if (state !== 'connected') return;
            stop();
            resolve();
          });
        });
      return {
        store,
        cut: () => away(500),
        losesAnswers: () => store.loseAnswers(1000),
        expires: () => away(3 * sessionTimeoutMs),
      };
    },
    finish,
    until: holds,
  };
}

for (const [index, { name, run, sees }] of scenarios.entries()) {
  test(`simulation is true: ${name}`, async () => {
    const folder = `/s${index}`;
    const real = realWorld();
    await (await real.client()).store.ensure(folder);
    assert.deepEqual(await run(real, folder), sees, 'a real ZooKeeper of three servers');
    for (let seed = 1; seed <= 20; seed += 1) {
      const simulated = simulatedWorld(`${seed}`);
      const { store } = await simulated.client();
      await simulated.finish(store.ensure(folder));
      assert.deepEqual(await run(simulated, folder), sees, `simulated, seed ${seed}`);
    }
  });
}
