import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { moduleFlags } from '#deploy/appmaster/java.ts';
import type { RequestMessage } from '#proto/messages.ts';
import { freePorts } from '#test/world/ports.ts';
import { type FlinkRest, flinkRest } from './rest.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

export type FlinkVersion = '2.3.0' | '1.20.5';

/** The versions that a test is run with: the second line only in the full form. */
export const flinkVersions: readonly FlinkVersion[] =
  process.env.DREY_FULL === '1' ? ['2.3.0', '1.20.5'] : ['2.3.0'];

/** A Java process of Flink. */
export interface FlinkPart {
  readonly pid: number;
  /** Resolves to the exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
  log(): Promise<string>;
}

/** One installed Flink with a configuration of its own, small in memory. */
export interface Flink {
  readonly version: FlinkVersion;
  readonly home: string;
  readonly confDir: string;
  readonly rest: FlinkRest;
  /** The jar of the examples. */
  readonly examples: string;
  /** Starts the JobManager with the driver; may be called again once it has ended. */
  startJobManager(): FlinkPart;
  startTaskManager(id: string, request: Pick<RequestMessage, 'jvm' | 'dynamic'>): FlinkPart;
  /** Runs another main class of the driver's jar. */
  runMain(
    mainClass: string,
    settings?: Settings,
  ): Promise<{ code: number; stdout: string; stderr: string }>;
  /** Kills what still runs and removes the folder. */
  stop(): Promise<void>;
}

export type Settings = Readonly<Record<string, string | number>>;

/** Installs this version where it is missing, and lays out a configuration. */
export async function prepareFlink(version: FlinkVersion, settings: Settings): Promise<Flink> {
  await run(join(root, 'deploy/install/flink.sh'), [version], { maxBuffer: 1 << 20 });
  const home = join(root, '.drey', `flink-${version}`);
  const dir = await mkdtemp(join(tmpdir(), 'drey-driver-'));
  const confDir = join(dir, 'conf');
  const [restPort = 0, rpcPort = 0, blobPort = 0] = await freePorts(3);
  await Promise.all(['conf', 'tmp', 'upload'].map((name) => mkdir(join(dir, name))));
  await writeFile(
    join(confDir, 'config.yaml'),
    lines({
      ...smallCluster,
      'rest.port': restPort,
      'jobmanager.rpc.port': rpcPort,
      'blob.server.port': blobPort,
      'web.upload.dir': join(dir, 'upload'),
      'io.tmp.dirs': join(dir, 'tmp'),
      ...settings,
    }),
  );
  const parts = new Set<ChildProcess>();
  const killAll = (): void => {
    for (const part of parts) part.kill('SIGKILL');
  };
  process.once('exit', killAll);
  const flags = javaFlags(home, dir);
  let launched = 0;
  const launch = (name: string, args: readonly string[]): FlinkPart => {
    launched += 1;
    const part = launchJava(join(dir, `${launched}-${name}.log`), [...flags, ...args]);
    parts.add(part.child);
    return part;
  };
  const configured = ['--configDir', confDir];
  return {
    version,
    home,
    confDir,
    rest: flinkRest(restPort),
    examples: exampleJar(home),
    startJobManager: () =>
      launch('jobmanager', [
        ...['-Xmx128m', '-XX:MaxMetaspaceSize=128m'],
        ...classPath(home),
        'io.drey.flink.DreySessionEntrypoint',
        ...configured,
      ]),
    startTaskManager: (id, { jvm, dynamic }) =>
      launch(id, [
        ...jvm.split(' '),
        ...classPath(home),
        'org.apache.flink.runtime.taskexecutor.TaskManagerRunner',
        ...configured,
        ...[...dynamic, `taskmanager.resource-id=${id}`].map((property) => `-D${property}`),
      ]),
    runMain: (mainClass, more = {}) =>
      outcome([
        ...flags,
        ...classPath(home),
        mainClass,
        ...configured,
        ...Object.entries(more).map(([key, value]) => `-D${key}=${value}`),
      ]),
    stop: async () => {
      process.removeListener('exit', killAll);
      killAll();
      await Promise.all(
        [...parts].map((part) => part.exitCode ?? part.signalCode ?? once(part, 'exit')),
      );
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** How long a worker that Flink wants no more, and that has not registered, is kept. */
export const surplusHoldMs = 3000;

const smallCluster: Settings = {
  'jobmanager.rpc.address': '127.0.0.1',
  'jobmanager.bind-host': '127.0.0.1',
  'rest.address': '127.0.0.1',
  'rest.bind-address': '127.0.0.1',
  'taskmanager.host': '127.0.0.1',
  'taskmanager.bind-host': '127.0.0.1',
  'taskmanager.numberOfTaskSlots': 2,
  'taskmanager.memory.framework.heap.size': '48m',
  'taskmanager.memory.task.heap.size': '32m',
  'taskmanager.memory.framework.off-heap.size': '16m',
  'taskmanager.memory.task.off-heap.size': '0m',
  'taskmanager.memory.network.min': '16m',
  'taskmanager.memory.network.max': '16m',
  'taskmanager.memory.managed.size': '0m',
  'taskmanager.memory.jvm-metaspace.size': '96m',
  'taskmanager.memory.jvm-overhead.min': '64m',
  'taskmanager.memory.jvm-overhead.max': '64m',
  'heartbeat.interval': 2000,
  'heartbeat.timeout': 10_000,
  'web.refresh-interval': 100,
  'restart-strategy.type': 'exponential-delay',
  'restart-strategy.exponential-delay.initial-backoff': '500 ms',
  // Longer than the restart delay, as by default; short, since tests wait for its end.
  'drey.driver.surplus-hold': `${surplusHoldMs} ms`,
  'resourcemanager.taskmanager-timeout': 2000,
};

function lines(settings: Settings): string {
  return Object.entries(settings)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('');
}

function javaFlags(home: string, dir: string): readonly string[] {
  return [
    ...['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
    ...moduleFlags({ path: 'java', version: 17 }),
    `-Djava.io.tmpdir=${join(dir, 'tmp')}`,
    `-Dlog4j.configurationFile=file:${join(home, 'conf/log4j-console.properties')}`,
  ];
}

function classPath(home: string): readonly string[] {
  return ['-cp', join(home, 'lib', '*')];
}

function exampleJar(home: string): string {
  const [jar] = readdirSync(join(home, 'examples'));
  if (jar === undefined) throw new Error(`there are no examples in ${home}`);
  return join(home, 'examples', jar);
}

function launchJava(logFile: string, args: readonly string[]): FlinkPart & { child: ChildProcess } {
  const log = openSync(logFile, 'a');
  const child = spawn('java', args, {
    stdio: ['ignore', log, log],
    env: { ...process.env, MALLOC_ARENA_MAX: '2' },
  });
  if (child.pid === undefined) throw new Error('java could not be started');
  return {
    child,
    pid: child.pid,
    ended: once(child, 'exit').then(([code, signal]) => code ?? signal),
    kill: (signal) => void child.kill(signal),
    log: () => readFile(logFile, 'utf8'),
  };
}

async function outcome(
  args: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn('java', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    text.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    text.stderr += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, ...text };
}
