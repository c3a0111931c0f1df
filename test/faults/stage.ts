import { join } from 'node:path';
import { flags, type Settings } from '#test/world/cluster.ts';
import { type Drey, describeWorkers, watchDrey } from '#test/world/drey.ts';
import { type Mesos, startMesos } from '#test/world/mesos.ts';
import { type Relay, startRelay } from '#test/world/relay.ts';
import type { World } from '#test/world/world.ts';
import { Supervised } from './supervised.ts';

const root = join(import.meta.dirname, '../..');
const copies = 2;
/** Short, so that a freeze is longer than it. */
const sessionTimeout = '4 s';

/** A process of drey and the ways by which it reaches each kind of server: nobody shares them. */
export interface Client {
  readonly process: Supervised;
  readonly ways: readonly Way[];
}

export interface Way {
  readonly to: 'Mesos' | 'NATS' | 'ZooKeeper';
  readonly relay: Relay;
}

/** Everything that can be hurt. */
export interface Stage {
  readonly world: World;
  readonly mesos: Mesos;
  readonly drey: Drey;
  readonly gateways: readonly Client[];
  readonly functions: readonly Client[];
  /** Where the master keeps what it was told and said. */
  readonly transcript: string;
}

export interface StageOptions {
  /** Agents of the local Mesos, without processes. */
  readonly agents: number;
}

/** Two gateways and two copies of every function, each behind relays of its own. */
export async function setStage(world: World, { agents }: StageOptions): Promise<Stage> {
  const transcript = join(world.dir, 'mesos-transcript.jsonl');
  const mesos = await startMesos(world, {
    simulatedApart: agents,
    resources: 'cpus:8;mem:16384;disk:10000',
    flags: [`--transcript=${transcript}`, `--registry=${join(world.dir, 'mesos-registry.json')}`],
  });
  const cluster = 'faults';
  const urls = world.natsServers.map(({ url }) => url).join(',');
  const drey = await watchDrey(cluster, world.zookeeper.servers, urls);
  world.atEnd(() => drey.close());
  world.tellOnFailure(() => describeWorkers(drey));
  const settings: Settings = {
    'drey.cluster': cluster,
    'drey.demand': 'fixed',
    'drey.zookeeper.session-timeout': sessionTimeout,
    'drey.nats.replicas': world.natsServers.length,
    'drey.gateway.http.bind-host': '127.0.0.1',
    'drey.functions.http.bind-host': '127.0.0.1',
    'drey.artifactserver.bind-host': '127.0.0.1',
    'drey.artifactserver.address': '127.0.0.1',
    'taskmanager.numberOfTaskSlots': 1,
    'taskmanager.memory.process.size': '1024m',
    'taskmanager.cpu.cores': 1,
  };
  const numbers = Array.from({ length: copies }, (_, n) => n + 1);
  const start = (name: string, main: string) => startClient(world, mesos, settings, name, main);
  return {
    world,
    mesos,
    drey,
    transcript,
    gateways: await Promise.all(numbers.map((n) => start(`gateway-${n}`, 'gateway/main.ts'))),
    functions: await Promise.all(numbers.map((n) => start(`functions-${n}`, 'functions/main.ts'))),
  };
}

async function startClient(
  world: World,
  mesos: Mesos,
  settings: Settings,
  name: string,
  main: string,
): Promise<Client> {
  const ways: Way[] = [];
  const way = async (to: Way['to'], target: string): Promise<string> => {
    const relay = await startRelay(target);
    world.atEnd(() => relay.close());
    ways.push({ to, relay });
    return relay.address;
  };
  const zookeeper = await Promise.all(
    world.zookeeper.addresses.map((address) => way('ZooKeeper', address)),
  );
  const nats = await Promise.all(
    world.natsServers.map(({ port }) => way('NATS', `127.0.0.1:${port}`)),
  );
  const own: Settings = {
    'mesos.master': name.startsWith('gateway') ? await way('Mesos', mesos.address) : mesos.address,
    'drey.zookeeper.quorum': zookeeper.join(','),
    'drey.nats.servers': nats.map((address) => `nats://${address}`).join(','),
    'drey.state.dir': join(world.dir, name),
  };
  const part = await world.start({
    name,
    file: process.execPath,
    args: [join(root, main), ...flags({ ...settings, ...own })],
    cwd: world.dir,
  });
  const supervised = new Supervised(part);
  world.atEnd(async () => supervised.leave());
  return { process: supervised, ways };
}
