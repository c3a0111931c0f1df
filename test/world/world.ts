import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endLeftovers } from './leftovers.ts';
import { type NatsServer, startNats } from './nats.ts';
import { startNatsCluster } from './nats-cluster.ts';
import { lastLines, type Part, type PartOptions, startPart } from './part.ts';
import { startZooKeeper, type ZooKeeperWorld } from './zookeeper.ts';

/** The servers of one test, a folder of its own, and everything that was started in it. */
export interface World {
  readonly dir: string;
  readonly zookeeper: ZooKeeperWorld;
  /** The first of them. */
  readonly nats: NatsServer;
  readonly natsServers: readonly NatsServer[];
  readonly parts: readonly Part[];
  /** Starts a process that is stopped with the world; its log is shown when the test fails. */
  start(options: Omit<PartOptions, 'dir'>): Promise<Part>;
  /** Called at the end, the newest first, before the processes are stopped. */
  atEnd(action: () => Promise<void>): void;
  /** A log besides those of the parts that is shown when the test fails. */
  showOnFailure(file: string): void;
  /** Asked when the test fails, while everything still runs. */
  tellOnFailure(tell: () => Promise<string>): void;
}

/** How many servers there are of each; one unless said. */
export interface WorldServers {
  readonly zookeeper?: 1 | 3;
  readonly nats?: 1 | 3;
}

const linesShown = 25;

/** Starts ZooKeeper and NATS, runs the body, and stops everything that was started, by pid. */
export async function inWorld(
  body: (world: World) => Promise<void>,
  servers: WorldServers = {},
): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'drey-world-'));
  const endings: (() => Promise<void>)[] = [];
  const parts: Part[] = [];
  const shown: string[] = [];
  const told: (() => Promise<string>)[] = [];
  try {
    const [zookeeper, [nats, ...more]] = await startServers(dir, endings, servers);
    await body({
      dir,
      zookeeper,
      nats,
      natsServers: [nats, ...more],
      parts,
      start: async (options) => {
        const part = await startPart({ ...options, dir });
        parts.push(part);
        return part;
      },
      atEnd: (action) => void endings.push(action),
      showOnFailure: (file) => void shown.push(file),
      tellOnFailure: (tell) => void told.push(tell),
    });
  } catch (error) {
    for (const tell of told) console.error(await tell().catch(String));
    await showLogs([...parts.map((part) => part.logFile), ...shown]);
    throw error;
  } finally {
    await endAll(endings, parts);
    endLeftovers(dir);
    if (process.env.DREY_KEEP_WORLD === undefined) await rm(dir, { recursive: true, force: true });
  }
}

async function startServers(
  dir: string,
  endings: (() => Promise<void>)[],
  counts: WorldServers,
): Promise<[ZooKeeperWorld, readonly [NatsServer, ...NatsServer[]]]> {
  const zookeeper = startZooKeeper({
    dir: join(dir, 'zookeeper'),
    servers: counts.zookeeper ?? 1,
  });
  const nats =
    counts.nats === 3
      ? startNatsCluster(join(dir, 'nats'))
      : startNats({ dir: join(dir, 'nats') }).then((server) => [server] as const);
  // Whichever came up is stopped, also when the other one did not.
  endings.push(() => zookeeper.then((server) => server.stop()).catch(() => undefined));
  endings.push(() => nats.then(stopAll).catch(() => undefined));
  return Promise.all([zookeeper, nats]);
}

async function stopAll(servers: readonly NatsServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
}

/** Servers last: what still runs must not see them go. */
async function endAll(
  endings: readonly (() => Promise<void>)[],
  parts: readonly Part[],
): Promise<void> {
  const servers = endings.slice(0, 2);
  for (const end of endings.slice(2).reverse()) await end();
  await Promise.all(parts.map((part) => part.stop()));
  await Promise.all(servers.map((end) => end()));
}

async function showLogs(files: readonly string[]): Promise<void> {
  for (const file of files) {
    const log = await readFile(file, 'utf8').catch(() => '(no such file)');
    console.error(`---- ${file.split('/').at(-1)}\n${lastLines(log, linesShown)}`);
  }
}
