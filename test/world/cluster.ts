import { join } from 'node:path';
import { type Drey, describeWorkers, watchDrey } from './drey.ts';
import { type Part, saysReady } from './part.ts';
import { until } from './until.ts';
import type { World } from './world.ts';

const root = join(import.meta.dirname, '../..');

export type Settings = Readonly<Record<string, string | number>>;

/** A cluster of drey in a world, without the appmaster: gateways and functions are started one by one. */
export interface Cluster {
  readonly name: string;
  readonly drey: Drey;
  readonly gateways: readonly Part[];
  readonly functions: readonly Part[];
  startGateway(): Promise<Part>;
  /** One more process with the named functions, all of them where none is named. */
  startFunctions(...names: readonly string[]): Promise<Part>;
  /** The gateway that leads by the record, once it runs and is registered. */
  leader(deadlineMs?: number): Promise<Part>;
}

export interface ClusterOptions {
  /** `mesos.master`, in any form. */
  readonly master: string;
  readonly name?: string;
  readonly settings?: Settings;
}

/** Prepares a cluster; nothing runs yet. */
export async function prepareCluster(world: World, options: ClusterOptions): Promise<Cluster> {
  const name = options.name ?? 'journey';
  const drey = await watchDrey(name, world.zookeeper.servers, world.nats.url);
  world.atEnd(() => drey.close());
  world.tellOnFailure(() => describeWorkers(drey));
  const settings: Settings = {
    'mesos.master': options.master,
    'drey.cluster': name,
    'drey.zookeeper.quorum': world.zookeeper.servers,
    'drey.nats.servers': world.nats.url,
    'drey.gateway.http.bind-host': '127.0.0.1',
    'drey.artifactserver.bind-host': '127.0.0.1',
    'drey.artifactserver.address': '127.0.0.1',
    ...options.settings,
  };
  const gateways: Part[] = [];
  const functions: Part[] = [];
  const started = { gateways: 0, functions: 0 };
  const node = (kind: string, main: string, args: readonly string[], more: Settings = {}) =>
    world.start({
      name: kind,
      file: process.execPath,
      args: [join(root, main), ...args, ...flags({ ...settings, ...more })],
      cwd: world.dir,
      ready: saysReady,
    });
  return {
    name,
    drey,
    gateways,
    functions,
    startGateway: async () => {
      started.gateways += 1;
      const kind = `gateway-${started.gateways}`;
      const state = { 'drey.state.dir': join(world.dir, kind) };
      const part = await node(kind, 'gateway/main.ts', [], state);
      gateways.push(part);
      return part;
    },
    startFunctions: async (...names) => {
      started.functions += 1;
      const kind = `functions-${started.functions}`;
      const part = await node(kind, 'functions/main.ts', names);
      functions.push(part);
      return part;
    },
    leader: (deadlineMs = 20_000) => leaderOf(drey, gateways, deadlineMs),
  };
}

/** The gateway of the framework's record, once it is registered with Mesos. */
export async function leaderOf(
  drey: Drey,
  gateways: readonly Part[],
  deadlineMs: number,
): Promise<Part> {
  return until(
    async () => {
      const { gateway, masterId } = await drey.framework();
      if (masterId === undefined) return undefined;
      const running = gateways.filter((part) => part.running);
      const names = await Promise.all(running.map(gatewayName));
      return running[names.indexOf(gateway)];
    },
    { deadlineMs, what: 'a gateway leads', everyMs: 50 },
  );
}

/** As it stands in the framework's record while this gateway leads. */
async function gatewayName(part: Part): Promise<string> {
  const line = /^\{"ready":true.*$/m.exec(await part.log())?.[0] ?? '{}';
  return String((JSON.parse(line) as Record<string, unknown>).name);
}

/** Settings as options of a command line. */
export function flags(settings: Settings): readonly string[] {
  return Object.entries(settings).map(([key, value]) => `-D${key}=${value}`);
}
