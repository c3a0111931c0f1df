import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePorts } from './ports.ts';
import { until } from './until.ts';

/** Real ZooKeeper servers on loopback; indices count from 0. */
export interface ZooKeeperWorld {
  /** `127.0.0.1:port,…`, all servers. */
  readonly servers: string;
  /** `127.0.0.1:port` of each server. */
  readonly addresses: readonly string[];
  /** Where each server keeps its snapshots and transaction logs. */
  readonly dataDirs: readonly string[];
  /** Of the servers that run now. */
  readonly pids: readonly number[];
  /** Stops them all and removes their data, unless the folder was given. */
  stop(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing is answered. Returns when every thread has stopped. */
  freeze(index: number): void;
  /** SIGCONT. */
  thaw(index: number): void;
  /** SIGKILL; resolves when it is gone. */
  kill(index: number): Promise<void>;
  /** Starts it again with its data on its port; resolves when it serves. */
  restart(index: number): Promise<void>;
  /** Resolves when this server serves clients. */
  serving(index: number): Promise<void>;
}

export interface ZooKeeperOptions {
  /** Where the data rests; a scratch folder, removed by `stop`, when not given. */
  readonly dir?: string;
  /** Of the first server; free ones when not given. */
  readonly port?: number;
  readonly servers?: 1 | 3;
  /** Further system properties of the servers, `zookeeper.…`. */
  readonly properties?: Readonly<Record<string, string>>;
}

interface Server {
  readonly address: string;
  readonly port: number;
  readonly home: string;
  child: ChildProcess | undefined;
}

const jars = promisify(execFile)(
  join(import.meta.dirname, '../../deploy/install/zookeeper.sh'),
  [],
);
// Whoever starts a server awaits this and sees the failure; nobody else is to be ended by it.
jars.catch(() => undefined);

/** Starts one server, or an ensemble of three, and resolves when every server serves. */
export async function startZooKeeper(options: ZooKeeperOptions = {}): Promise<ZooKeeperWorld> {
  const count = options.servers ?? 1;
  const classPath = `${(await jars).stdout.trim()}/*`;
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'drey-zookeeper-')));
  const ports = await freePorts(count * 3);
  if (options.port !== undefined) ports[0] = options.port;
  const members = ports.slice(0, count).map((port, i) => ({
    port,
    address: `127.0.0.1:${port}`,
    home: join(dir, `server-${i + 1}`),
    child: undefined,
  }));
  const servers: Server[] = members;
  const peers = servers.map(
    (_, i) => `server.${i + 1}=127.0.0.1:${ports[count + i]}:${ports[2 * count + i]}`,
  );
  await Promise.all(servers.map((server, i) => furnish(server, i + 1, count > 1 ? peers : [])));
  const flags = Object.entries(options.properties ?? {}).map(([key, value]) => `-D${key}=${value}`);
  const boot = (server: Server): void => launch(server, classPath, flags);
  const killAll = (): void => {
    for (const server of servers) server.child?.kill('SIGKILL');
  };
  process.once('exit', killAll);
  servers.forEach(boot);
  const world = worldOf(servers, boot, async () => {
    process.removeListener('exit', killAll);
    await Promise.all(servers.map(end));
    if (options.dir === undefined) await rm(dir, { recursive: true, force: true });
  });
  try {
    await Promise.all(servers.map((_, i) => world.serving(i)));
  } catch (error) {
    await world.stop();
    throw error;
  }
  return world;
}

function worldOf(
  servers: readonly Server[],
  boot: (server: Server) => void,
  stop: () => Promise<void>,
): ZooKeeperWorld {
  const at = (index: number): Server => {
    const server = servers[index];
    if (!server) throw new RangeError(`there is no ZooKeeper server ${index}`);
    return server;
  };
  const serving = async (index: number): Promise<void> => {
    await until(() => serves(at(index)), {
      deadlineMs: 90_000,
      what: `ZooKeeper server ${index} serves`,
      everyMs: 50,
    });
  };
  return {
    servers: servers.map((server) => server.address).join(','),
    addresses: servers.map((server) => server.address),
    dataDirs: servers.map((server) => join(server.home, 'data')),
    get pids() {
      return servers.flatMap((server) => (server.child?.pid ? [server.child.pid] : []));
    },
    stop,
    freeze: (index) => {
      const child = at(index).child;
      child?.kill('SIGSTOP');
      while (child?.pid !== undefined && !hasStopped(child.pid)) pauseThisThread(1);
    },
    thaw: (index) => void at(index).child?.kill('SIGCONT'),
    kill: (index) => end(at(index)),
    restart: async (index) => {
      await end(at(index));
      boot(at(index));
      await serving(index);
    },
    serving,
  };
}

async function furnish(server: Server, id: number, peers: readonly string[]): Promise<void> {
  await mkdir(join(server.home, 'data'), { recursive: true });
  await writeFile(join(server.home, 'data', 'myid'), `${id}\n`);
  const lines = [
    'tickTime=500',
    'initLimit=20',
    'syncLimit=10',
    `dataDir=${join(server.home, 'data')}`,
    `clientPort=${server.port}`,
    'clientPortAddress=127.0.0.1',
    'admin.enableServer=false',
    'minSessionTimeout=1000',
    'maxClientCnxns=0',
    '4lw.commands.whitelist=*',
    ...peers,
  ];
  await writeFile(join(server.home, 'zoo.cfg'), `${lines.join('\n')}\n`);
}

function launch(server: Server, classPath: string, flags: readonly string[]): void {
  const lean = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
  const child = spawn(
    'java',
    [
      ...lean,
      '-Dzookeeper.forceSync=no',
      ...flags,
      '-cp',
      classPath,
      'org.apache.zookeeper.server.quorum.QuorumPeerMain',
      join(server.home, 'zoo.cfg'),
    ],
    { stdio: 'ignore' },
  );
  child.once('error', () => {
    server.child = undefined;
  });
  server.child = child;
}

/** On a busy machine a signal takes a while to stop all threads, and the others work on. */
function hasStopped(pid: number): boolean {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    return threads.every((thread) =>
      /\) [TtZX]/.test(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')),
    );
  } catch {
    // It has ended in the meantime: nothing answers either.
    return true;
  }
}

function pauseThisThread(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}

async function end(server: Server): Promise<void> {
  const child = server.child;
  if (!child) return;
  server.child = undefined;
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** Asks by the four letter word `srvr`: its answer names a mode once clients are served. */
function serves(server: Server): Promise<boolean> {
  if (!server.child || server.child.exitCode !== null) {
    return Promise.reject(new Error(`the server of ${server.home} has ended`));
  }
  return new Promise((resolve) => {
    const socket = connect(server.port, '127.0.0.1', () => socket.write('srvr'));
    let answer = '';
    socket.setTimeout(1000, () => socket.destroy());
    socket.on('data', (chunk) => {
      answer += chunk.toString();
    });
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(/^Mode: /m.test(answer)));
  });
}
