import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { onTermination } from '#runtime/shutdown.ts';
import { parseAttributes } from './attributes.ts';
import { masterInfo } from './core/master-info.ts';
import type { AgentRegistration } from './core/protocol.ts';
import { parseResources, toMesos } from './core/resources.ts';
import type { MasterOptions } from './core/state.ts';
import { type Leader, serveMaster } from './http.ts';
import { RunningMaster } from './running-master.ts';
import { SimulatedAgents } from './simulation.ts';
import { Transcript } from './transcript.ts';
import { announce, numberFlag, stopFailed, textFlag } from './usage.ts';
import { Contender, parseZooKeeper } from './zookeeper.ts';

const options = {
  ip: { type: 'string' },
  port: { type: 'string' },
  hostname: { type: 'string' },
  'allocation-interval': { type: 'string' },
  'agent-ping-timeout': { type: 'string' },
  'max-agent-ping-timeouts': { type: 'string' },
  /** How long agents of the registry may take to come back. */
  'agent-reregister-timeout': { type: 'string' },
  'offer-timeout': { type: 'string' },
  /** `zk://host:port/path`: takes part in the election of a leading master. */
  zk: { type: 'string' },
  /** A file that keeps which agents are known, so that a restart tells them from strangers. */
  registry: { type: 'string' },
  /** A file that keeps what schedulers said and were told. */
  transcript: { type: 'string' },
  'simulate-agents': { type: 'string' },
  'simulate-resources': { type: 'string' },
  'simulate-attributes': { type: 'string' },
  'simulate-delay-ms': { type: 'string' },
} as const;

type Values = Readonly<Record<string, string | undefined>>;

/** `main.ts master`: serves until it is told to stop. Times of flags are seconds. */
export async function masterCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options, strict: true });
  const ip = textFlag(values, 'ip', '127.0.0.1');
  const { registry } = values;
  const place = values.zk === undefined ? undefined : parseZooKeeper(values.zk);
  let running: RunningMaster | undefined;
  let contender: Contender | undefined;
  const leader = (): Leader =>
    place === undefined ? { kind: 'self' } : (contender?.leader ?? { kind: 'none' });
  const address = { ip, port: numberFlag(values, 'port', 5050) };
  const { server, port } = await serveMaster(address, (port) => {
    const known = masterOptions(values, ip, port, knownAgents(registry));
    const transcript =
      values.transcript === undefined ? undefined : new Transcript(values.transcript);
    const master = new RunningMaster(known, (agents) => keep(registry, agents), transcript);
    running = master;
    return { master, leader };
  });
  if (running === undefined) return;
  const master = running;
  const simulated = simulate(master, values, ip);
  onTermination(async () => {
    simulated?.stop();
    master.stop();
    await contender?.stop();
    server.closeAllConnections();
    server.close();
  }, stopFailed);
  if (place !== undefined) {
    contender = await Contender.join(place, masterInfo(master.state.options), leadershipLost);
  }
  announce({ port, pid: process.pid, masterId: master.state.options.masterId });
}

/** As a real master: one that led and lost its session does not go on. */
function leadershipLost(): void {
  process.stderr.write('local mesos: lost the ZooKeeper session while leading; this master ends\n');
  process.exit(1);
}

function masterOptions(
  values: Values,
  ip: string,
  port: number,
  recoveredAgents: readonly string[],
): MasterOptions {
  const seconds = (name: string, otherwise: number): number =>
    numberFlag(values, name, otherwise) * 1000;
  const offerTimeoutMs = seconds('offer-timeout', 0);
  return {
    masterId: randomUUID(),
    ip,
    hostname: textFlag(values, 'hostname', ip),
    port,
    allocationIntervalMs: seconds('allocation-interval', 1),
    heartbeatIntervalMs: 15_000,
    agentPingTimeoutMs: seconds('agent-ping-timeout', 15),
    maxAgentPingTimeouts: numberFlag(values, 'max-agent-ping-timeouts', 5),
    offerTimeoutMs: offerTimeoutMs === 0 ? undefined : offerTimeoutMs,
    recoveredAgents,
    agentReregisterTimeoutMs: seconds('agent-reregister-timeout', 600),
  };
}

function simulate(master: RunningMaster, values: Values, ip: string): SimulatedAgents | undefined {
  const count = numberFlag(values, 'simulate-agents', 0);
  if (count === 0) return undefined;
  const text = textFlag(
    values,
    'simulate-resources',
    'cpus:8;mem:16384;disk:20480;ports:[31000-31999]',
  );
  const resources = toMesos(parseResources(text), { withRole: false, allocatedTo: undefined });
  const attributes = parseAttributes(textFlag(values, 'simulate-attributes', ''));
  const registrations = Array.from({ length: count }, (_, n): AgentRegistration => {
    return { hostname: `simulated-${n + 1}`, ip, port: 5051, resources, attributes };
  });
  const delayMs = numberFlag(values, 'simulate-delay-ms', 20);
  return new SimulatedAgents(master, {
    registrations,
    startDelayMs: delayMs,
    stopDelayMs: delayMs,
  });
}

function knownAgents(registry: string | undefined): readonly string[] {
  if (registry === undefined || !existsSync(registry)) return [];
  return (JSON.parse(readFileSync(registry, 'utf8')) as { readonly agents: string[] }).agents;
}

function keep(registry: string | undefined, agents: readonly string[]): void {
  if (registry === undefined) return;
  mkdirSync(dirname(registry), { recursive: true });
  writeFileSync(`${registry}.new`, JSON.stringify({ agents }));
  renameSync(`${registry}.new`, registry);
}
