import { type FakeMaster, startFakeMaster, subscribed } from '#test/gateway/fake-master.ts';
import { type Cluster, prepareCluster } from '#test/world/cluster.ts';
import { until } from '#test/world/until.ts';
import type { World } from '#test/world/world.ts';
import { benchOffer, offersEvent } from './decode.ts';

const settings = {
  'drey.demand': 'fixed',
  'taskmanager.cpu.cores': 1,
  'taskmanager.memory.process.size': '1024m',
  // The scripted master tells no status: nothing may be asked about or launched again meanwhile.
  'drey.launch.timeout': '1 h',
  'drey.reconcile.explicit.base': '1 h',
  'drey.reconcile.explicit.max': '1 h',
};

const restMs = 25;

/** ms from the bytes of an offer at a scripted master to the whole ACCEPT at the same master, one after the other. */
export async function measureAccept(world: World, rounds: number): Promise<number[]> {
  const master = await startFakeMaster();
  world.atEnd(() => master.stop());
  letIn(master);
  const cluster = await prepareCluster(world, {
    master: `127.0.0.1:${master.port}`,
    name: 'bench-accept',
    settings: { ...settings, 'drey.demand.target': rounds + 10 },
  });
  const gateway = await cluster.startGateway();
  const functions = await cluster.startFunctions();
  await everyoneWaits(cluster, rounds);
  const samples: number[] = [];
  for (let n = 1; n <= rounds + 10; n++) {
    const took = await offerToAccept(master, n);
    // What follows upon the ACCEPT is done before the next offer comes: latency, not throughput.
    await new Promise((resolve) => setTimeout(resolve, restMs));
    // The first ones meet cold code.
    if (n > 10) samples.push(took);
  }
  await functions.stop();
  await gateway.stop();
  return samples;
}

/** Lets the gateway in, and afterwards tells of each ACCEPT. */
function letIn(master: FakeMaster): void {
  master.answer = ({ call }) => {
    if (call.type !== 'SUBSCRIBE') return false;
    const id = call.subscribe?.framework_info.id?.value ?? 'bench';
    // After the stream was opened by the usual answer.
    setImmediate(() => master.send(subscribed(id, 'bench-master')));
    return false;
  };
}

async function everyoneWaits(cluster: Cluster, rounds: number): Promise<void> {
  const { store, paths } = cluster.drey;
  await until(async () => (await store.list(paths.waiting)).length >= rounds + 10, {
    deadlineMs: 60_000,
    what: `${rounds + 10} workers wait`,
    everyMs: 100,
  });
}

async function offerToAccept(master: FakeMaster, n: number): Promise<number> {
  const offer = benchOffer(n, 1, 2048);
  const accepted = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`offer ${n} was not accepted`)), 10_000);
    master.answer = ({ call }) => {
      if (call.accept?.offer_ids?.some(({ value }) => value === offer.id.value)) {
        clearTimeout(timer);
        resolve();
      }
      return false;
    };
  });
  const started = performance.now();
  master.send(offersEvent([offer]));
  await accepted;
  return performance.now() - started;
}
