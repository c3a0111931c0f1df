import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import type { Store, StoreOp } from '#runtime/store/store.ts';
import { connectStore } from '#runtime/store/zookeeper.ts';
import { until } from '#test/world/until.ts';
import type { World } from '#test/world/world.ts';

/** As large as a worker's record. */
const recordText = JSON.stringify({ v: 1, filler: 'x'.repeat(900) });
const payload = new Uint8Array(600);

/** What the machine's own servers take, measured beside drey. */
export interface Floor {
  /** ms of a message to another connection, one transaction there, and a message back. */
  readonly hopsAndTransaction: readonly number[];
  /** Transactions per second, one after the other and 64 at a time. */
  readonly oneByOne: number;
  readonly pipelined: number;
}

/** Measures two bus hops with one ZooKeeper transaction between them, and transactions alone. */
export async function measureFloor(world: World, rounds: number): Promise<Floor> {
  const store = await connectStore({
    servers: world.zookeeper.servers,
    sessionTimeoutMs: 10_000,
    clock: systemClock,
  });
  try {
    await store.ensure('/bench/workers');
    await store.ensure('/bench/waiting');
    return {
      hopsAndTransaction: await hopsAndTransaction(world, store, rounds),
      oneByOne: await transactionsPerSecond(store, rounds, 1),
      pipelined: await transactionsPerSecond(store, rounds * 4, 64),
    };
  } finally {
    await store.close();
  }
}

async function hopsAndTransaction(world: World, store: Store, rounds: number): Promise<number[]> {
  const connect = (name: string) =>
    connectBus({ servers: [world.nats.url], name, clock: systemClock });
  const [here, there] = await Promise.all([connect('bench-here'), connect('bench-there')]);
  const turn = launchTransactions(store, 'latency');
  const samples: number[] = [];
  try {
    await turn.prepare(rounds);
    let arrived = (): void => undefined;
    there.subscribe('bench.event', 'bench', () => {
      void turn.commit().then(() => there.publish('bench.call', payload));
    });
    here.subscribe('bench.call', undefined, () => arrived());
    // A request that is answered shows that the subscriptions before it stand.
    there.subscribe('bench.ready', undefined, ({ reply }) => there.publish(reply ?? '', payload));
    await until(() => here.request('bench.ready', payload, { timeoutMs: 1000 }), {
      deadlineMs: 10_000,
      what: 'the subscriptions stand',
    });
    for (let n = 0; n < rounds; n++) {
      const started = performance.now();
      const back = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      here.publish('bench.event', payload);
      await back;
      samples.push(performance.now() - started);
    }
  } finally {
    await Promise.all([here.close(), there.close()]);
  }
  return samples;
}

async function transactionsPerSecond(store: Store, count: number, atOnce: number): Promise<number> {
  const turn = launchTransactions(store, `rate-${atOnce}`);
  await turn.prepare(count);
  const started = performance.now();
  let left = count;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await turn.commit();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return (count / (performance.now() - started)) * 1000;
}

/** The transaction of one launch: a worker's record is replaced, its mark among the waiting goes. */
function launchTransactions(store: Store, name: string) {
  let next = 0;
  const worker = (n: number): string => `/bench/workers/${name}-${n}`;
  const waiting = (n: number): string => `/bench/waiting/${name}-${n}`;
  const made = (n: number): StoreOp[] => [
    { kind: 'create', path: worker(n), data: recordText },
    { kind: 'create', path: waiting(n), data: '' },
  ];
  return {
    prepare: async (count: number): Promise<void> => {
      for (let n = 0; n < count; n += 50) {
        const batch = Array.from({ length: Math.min(50, count - n) }, (_, m) => made(n + m));
        await store.commit(batch.flat());
      }
    },
    commit: (): Promise<void> => {
      const n = next++;
      return store.commit([
        { kind: 'set', path: worker(n), data: recordText, version: 0 },
        { kind: 'remove', path: waiting(n), version: 0 },
      ]);
    },
  };
}
