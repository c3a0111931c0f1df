import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findJava } from '#deploy/appmaster/java.ts';
import { freePort } from '#deploy/appmaster/network.ts';
import { ownNats, ownZooKeeper } from '#deploy/appmaster/servers.ts';
import { Configuration } from '#runtime/config/configuration.ts';
import { type ExitOf, sleep, startBackground, waitForLog } from './background.ts';
import {
  makeRunFolder,
  partNames,
  pidOf,
  refuseForeignFolder,
  root,
  runFolder,
  type StackFacts,
  writeFacts,
} from './run-folder.ts';
import { firstTaskPort } from './task-ports.ts';

const loopback = '127.0.0.1';
const cluster = 'local';
const serverLimitMs = 30_000;
const stackLimitMs = 90_000;
/**
 * Each agent has this many ports of its own: all live on one machine. It listens on the first
 * itself, so that another stack sees that they are taken.
 */
const portsPerAgent = 100;
const agentResources = 'cpus:4;mem:4096;disk:10240';

/** A stack that is up, and how its appmaster ends. */
export interface StartedStack {
  readonly facts: StackFacts;
  readonly appmaster: ExitOf;
}

/** @throws Error when an earlier stack still runs, or the folder is not a stack's. */
export function refuseOthers(): void {
  refuseForeignFolder();
  const running = partNames.filter((name) => pidOf(name) !== undefined);
  if (running.length === 0) return;
  const names = running.join(', ');
  throw new Error(`${names} of an earlier stack still run; end them with deploy/local/down`);
}

/** Starts every part of the stack and resolves once jobs can be submitted. */
export async function startStack(
  flinkHome: string,
  say: (line: string) => void,
): Promise<StartedStack> {
  // Asked again: installing may have taken minutes.
  refuseOthers();
  makeRunFolder();
  const facts = await chooseAddresses(flinkHome);
  writeFacts(facts);
  await Promise.all([startServers(facts, say), startMesos(facts, say)]);
  const appmaster = startAppmaster(facts);
  say(`appmaster started, pid ${pidOf('appmaster')}, log in ${join(runFolder, 'logs')}`);
  await Promise.all([
    waitForLog('appmaster', /JobManager ready/, stackLimitMs),
    waitForLog('appmaster', /registered with Mesos/, stackLimitMs),
    waitForLog('appmaster', /functions ready/, stackLimitMs),
  ]);
  say(`Flink is up: web UI ${facts.rest}, Mesos master http://${facts.master}`);
  return { facts, appmaster };
}

async function chooseAddresses(flinkHome: string): Promise<StackFacts> {
  const at = async (preferred: number): Promise<string> =>
    `${loopback}:${await freePort(loopback, preferred)}`;
  return {
    flinkHome,
    cluster,
    zookeeper: await at(2181),
    nats: `nats://${await at(4222)}`,
    master: await at(5050),
    rest: `http://${await at(8081)}`,
  };
}

async function startServers(facts: StackFacts, say: (line: string) => void): Promise<void> {
  const java = findJava(new Configuration([]), process.env);
  const zookeeper = await ownZooKeeper(runFolder, portOf(facts.zookeeper), java);
  const nats = await ownNats(runFolder, portOf(facts.nats));
  startBackground('zookeeper', zookeeper.command);
  startBackground('nats-server', nats.command);
  await Promise.all([
    serving('zookeeper', zookeeper.serves, say),
    serving('nats-server', nats.serves, say),
  ]);
}

async function serving(
  name: 'zookeeper' | 'nats-server',
  serves: () => Promise<boolean>,
  say: (line: string) => void,
): Promise<void> {
  const deadline = Date.now() + serverLimitMs;
  while (!(await serves())) {
    // The log is looked at only when there is something to complain about.
    if (pidOf(name) === undefined || Date.now() > deadline) await waitForLog(name, /(?!)/, 0);
    await sleep(50);
  }
  say(`${name} serves, pid ${pidOf(name)}`);
}

async function startMesos(facts: StackFacts, say: (line: string) => void): Promise<void> {
  const main = join(root, 'deploy/local/mesos/main.ts');
  const node = process.execPath;
  startBackground('mesos-master', {
    file: node,
    args: [main, 'master', '--ip', loopback, '--port', String(portOf(facts.master))],
  });
  await waitForLog('mesos-master', /"ready":true/, serverLimitMs);
  say(`mesos-master ready at http://${facts.master}, pid ${pidOf('mesos-master')}`);
  const agents = ['mesos-agent-1', 'mesos-agent-2'] as const;
  const firstPort = await firstTaskPort(agents.length * portsPerAgent);
  for (const [at, name] of agents.entries()) {
    const from = firstPort + at * portsPerAgent;
    const ports = `ports:[${from + 1}-${from + portsPerAgent - 1}]`;
    startBackground(name, {
      file: node,
      args: [main, 'agent', '--master', facts.master, '--work-dir', join(runFolder, name)].concat(
        ['--ip', loopback, '--port', String(from), '--hostname', `agent-${at + 1}`],
        ['--no-switch-user'],
        ['--resources', `${agentResources};${ports}`],
      ),
    });
  }
  for (const name of agents) {
    await waitForLog(name, /"ready":true/, serverLimitMs);
    say(`${name} registered, pid ${pidOf(name)}`);
  }
}

function startAppmaster(facts: StackFacts): ExitOf {
  const confDir = join(runFolder, 'conf');
  writeFileSync(join(confDir, 'config.yaml'), configuration(facts));
  return startBackground('appmaster', {
    file: join(root, 'deploy/bin/mesos-appmaster.sh'),
    args: [`-Dmesos.master=${facts.master}`, '-Dtaskmanager.numberOfTaskSlots=2'],
    env: { ...process.env, FLINK_HOME: facts.flinkHome, FLINK_CONF_DIR: confDir },
  });
}

/** Small processes that start quickly, everything on loopback. */
function configuration(facts: StackFacts): string {
  const settings: Readonly<Record<string, string>> = {
    'drey.cluster': facts.cluster,
    'drey.zookeeper.quorum': facts.zookeeper,
    'drey.nats.servers': facts.nats,
    'drey.state.dir': join(runFolder, 'appmaster'),
    'drey.gateway.http.bind-host': loopback,
    'drey.functions.http.bind-host': loopback,
    'drey.artifactserver.bind-host': loopback,
    'jobmanager.rpc.address': loopback,
    'jobmanager.rpc.port': '0',
    'jobmanager.bind-host': loopback,
    'rest.address': loopback,
    'rest.bind-address': loopback,
    'rest.port': String(portOf(facts.rest)),
    'taskmanager.host': loopback,
    'taskmanager.bind-host': loopback,
    'env.java.opts.all': '-XX:+UseSerialGC -XX:TieredStopAtLevel=1',
    'jobmanager.memory.heap.size': '192m',
    'jobmanager.memory.off-heap.size': '64m',
    'jobmanager.memory.jvm-metaspace.size': '160m',
    'jobmanager.memory.jvm-overhead.min': '64m',
    'taskmanager.memory.framework.heap.size': '64m',
    'taskmanager.memory.task.heap.size': '96m',
    'taskmanager.memory.managed.size': '0m',
    'taskmanager.memory.framework.off-heap.size': '32m',
    'taskmanager.memory.network.min': '32m',
    'taskmanager.memory.network.max': '32m',
    'taskmanager.memory.jvm-metaspace.size': '128m',
    'taskmanager.memory.jvm-overhead.min': '64m',
    'web.refresh-interval': '500',
    'restart-strategy.type': 'exponential-delay',
  };
  return Object.entries(settings)
    .map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`)
    .join('');
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

/** The Flink that deploy/install/flink.sh brought. @throws Error when it is not there. */
export function flinkHomeOf(version: string): string {
  const home = join(root, '.drey', `flink-${version}`);
  if (!existsSync(join(home, 'lib'))) {
    throw new Error(`Flink ${version} is not installed; run deploy/install/flink.sh ${version}`);
  }
  return home;
}
