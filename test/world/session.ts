import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { FlinkVersion } from '#test/driver/flink.ts';
import { type FlinkRest, flinkRest } from '#test/driver/rest.ts';
import { flags, type Settings } from './cluster.ts';
import { type Drey, describeWorkers, watchDrey } from './drey.ts';
import { leftoversOf } from './leftovers.ts';
import { lastLines, type Part, saysReady } from './part.ts';
import { freePorts } from './ports.ts';
import { until } from './until.ts';
import type { World } from './world.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

/** A Flink session cluster that `mesos-appmaster.sh` started. */
export interface Session {
  readonly name: string;
  readonly appmaster: Part;
  readonly rest: FlinkRest;
  readonly drey: Drey;
  /** Jar of the example jobs. */
  readonly examples: string;
  /** The newest process of that name that the appmaster has told of: `gateway`, `functions`, `JobManager`. */
  pidOf(name: string): Promise<number>;
  /** Of the JVM that is this worker. */
  pidOfWorker(id: string): number;
  /** A gateway beside the appmaster's, with the same configuration. */
  startStandby(): Promise<Part>;
}

export interface SessionOptions {
  readonly master: string;
  readonly version?: FlinkVersion;
  readonly name?: string;
  readonly settings?: Settings;
}

/** Starts the appmaster with the world's ZooKeeper and NATS; resolves when the JobManager serves. */
export async function startSession(world: World, options: SessionOptions): Promise<Session> {
  const { version = '2.3.0', name = 'session' } = options;
  await run(join(root, 'deploy/install/flink.sh'), [version], { maxBuffer: 1 << 20 });
  const home = join(root, '.drey', `flink-${version}`);
  const state = join(world.dir, name);
  const confDir = join(world.dir, `${name}-conf`);
  await mkdir(confDir);
  await writeFile(
    join(confDir, 'config.yaml'),
    '# everything is given by -D\nrest.retry.delay: 3000\n',
  );
  const [restPort = 0] = await freePorts(1);
  const settings = { ...sessionSettings(world, name, state, restPort), ...options.settings };
  for (const log of ['gateway.log', 'functions.log']) world.showOnFailure(join(state, 'log', log));
  world.tellOnFailure(() => jobManagerLog(join(state, 'log')));
  const appmaster = await world.start({
    name: 'appmaster',
    file: join(root, 'deploy/bin/mesos-appmaster.sh'),
    args: flags({ 'mesos.master': options.master, ...settings }),
    cwd: world.dir,
    env: { ...process.env, FLINK_HOME: home, FLINK_CONF_DIR: confDir },
    ready: (log) => /JobManager ready/.test(log),
    readyMs: 90_000,
  });
  const drey = await watchDrey(name, world.zookeeper.servers, world.nats.url);
  world.atEnd(() => drey.close());
  world.tellOnFailure(() => describeWorkers(drey));
  const [jar = ''] = await readdir(join(home, 'examples'));
  let standbys = 0;
  return {
    name,
    appmaster,
    rest: flinkRest(restPort),
    drey,
    examples: join(home, 'examples', jar),
    pidOf: async (part) => {
      const told = new RegExp(`: ${part} started, pid (\\d+)`, 'g');
      const pid = [...(await appmaster.log()).matchAll(told)].at(-1)?.[1];
      if (pid === undefined) throw new Error(`the appmaster has not told of its ${part}`);
      return Number(pid);
    },
    pidOfWorker: (id) => pidOfWorker(world, id),
    startStandby: () => {
      standbys += 1;
      const own = `standby-gateway-${standbys}`;
      return world.start({
        name: own,
        file: process.execPath,
        args: [
          ...[join(root, 'gateway/main.ts'), '--conf-dir', join(state, 'conf')],
          `-Ddrey.state.dir=${join(world.dir, own)}`,
        ],
        cwd: world.dir,
        ready: saysReady,
      });
    },
  };
}

function sessionSettings(world: World, name: string, state: string, restPort: number): Settings {
  return {
    'drey.cluster': name,
    'drey.zookeeper.quorum': world.zookeeper.servers,
    'drey.zookeeper.session-timeout': '4 s',
    'drey.nats.servers': world.nats.url,
    'drey.state.dir': state,
    'drey.gateway.http.bind-host': '127.0.0.1',
    'high-availability.type': 'zookeeper',
    'high-availability.zookeeper.quorum': world.zookeeper.servers,
    'high-availability.cluster-id': `/${name}`,
    'high-availability.storageDir': `file://${join(world.dir, 'ha')}`,
    'execution.checkpointing.interval': '2 s',
    'execution.checkpointing.dir': `file://${join(world.dir, 'checkpoints')}`,
    // One RPC between TaskManager and JobManager may get lost: the next checkpoint comes in time.
    'execution.checkpointing.timeout': '10 s',
    'execution.checkpointing.tolerable-failed-checkpoints': 10,
    'restart-strategy.type': 'fixed-delay',
    'restart-strategy.fixed-delay.attempts': 100,
    'restart-strategy.fixed-delay.delay': '1 s',
    'jobmanager.rpc.address': '127.0.0.1',
    'jobmanager.bind-host': '127.0.0.1',
    'rest.address': '127.0.0.1',
    'rest.bind-address': '127.0.0.1',
    'rest.port': restPort,
    'web.refresh-interval': 100,
    'taskmanager.numberOfTaskSlots': 2,
    'jobmanager.memory.heap.size': '160m',
    'jobmanager.memory.off-heap.size': '64m',
    'jobmanager.memory.jvm-metaspace.size': '128m',
    'jobmanager.memory.jvm-overhead.min': '64m',
    'jobmanager.memory.jvm-overhead.max': '64m',
    'taskmanager.memory.framework.heap.size': '48m',
    'taskmanager.memory.task.heap.size': '48m',
    'taskmanager.memory.framework.off-heap.size': '16m',
    'taskmanager.memory.task.off-heap.size': '0m',
    'taskmanager.memory.network.min': '16m',
    'taskmanager.memory.network.max': '16m',
    'taskmanager.memory.managed.size': '0m',
    'taskmanager.memory.jvm-metaspace.size': '96m',
    'taskmanager.memory.jvm-overhead.min': '64m',
    'taskmanager.memory.jvm-overhead.max': '64m',
    'env.java.opts.all': '-XX:+UseSerialGC -XX:TieredStopAtLevel=1',
  };
}

function pidOfWorker(world: World, id: string): number {
  const found = leftoversOf(world.dir).filter(
    ({ command }) => /^\S*java /.test(command) && command.includes(`resource-id=${id}`),
  );
  const [one] = found;
  if (one === undefined || found.length > 1) {
    throw new Error(`${found.length} processes are ${id}, not one`);
  }
  return one.pid;
}

/** Resolves when the process is gone. */
export async function gone(pid: number, deadlineMs = 10_000): Promise<void> {
  await until(() => !isAlive(pid), { deadlineMs, what: `process ${pid} is gone` });
}

/** Whether there is a process of that pid that has not ended. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** The end of Flink's own log. */
async function jobManagerLog(dir: string): Promise<string> {
  const name = (await readdir(dir)).find((file) => /mesos-appmaster.*\.log$/.test(file));
  if (name === undefined) return '---- no JobManager log';
  return `---- ${name}\n${lastLines(await readFile(join(dir, name), 'utf8'), 60)}`;
}
