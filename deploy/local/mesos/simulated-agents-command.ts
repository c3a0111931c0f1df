import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { onTermination } from '#runtime/shutdown.ts';
import { type MasterAddress, MasterConnection } from './agent/master-connection.ts';
import { masterAddress } from './agent-command.ts';
import type { AgentInput } from './core/agent-state.ts';
import type { AgentRegistration } from './core/protocol.ts';
import { parseResources, toMesos } from './core/resources.ts';
import { createSimulatedAgent, nextSimulatedTick, stepSimulated } from './core/simulated.ts';
import { announce, numberFlag, stopFailed, textFlag } from './usage.ts';

const options = {
  master: { type: 'string' },
  count: { type: 'string' },
  resources: { type: 'string' },
  'delay-ms': { type: 'string' },
} as const;

const tickMs = 10;

/** `main.ts simulated-agents`: agents without processes that outlive any master. */
export async function simulatedAgentsCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options, strict: true });
  const master = await masterAddress(values.master);
  const text = textFlag(values, 'resources', 'cpus:8;mem:16384;disk:20480;ports:[31000-31999]');
  const resources = toMesos(parseResources(text), { withRole: false, allocatedTo: undefined });
  const delayMs = numberFlag(values, 'delay-ms', 20);
  const connections = Array.from({ length: numberFlag(values, 'count', 10) }, (_, n) => {
    const hostname = `simulated-${n + 1}`;
    const where = { hostname, ip: '127.0.0.1', port: 5051 };
    return connect({ ...where, resources, attributes: [] }, master, delayMs);
  });
  onTermination(async () => {
    for (const connection of connections) connection.end();
  }, stopFailed);
  announce({ count: connections.length, pid: process.pid });
}

/** One agent: its core, its imagined processes, and its connection. */
function connect(
  registration: AgentRegistration,
  master: MasterAddress,
  delayMs: number,
): MasterConnection {
  const seed = randomBytes(8).readBigUInt64BE();
  const delays = { startDelayMs: delayMs, stopDelayMs: delayMs };
  const agent = createSimulatedAgent({
    ...delays,
    ...{ registration, agentId: undefined, seed, recovered: [] },
  });
  const apply = (input: AgentInput): void => {
    for (const message of stepSimulated(agent, input)) connection.say(message);
  };
  const connection = new MasterConnection(master, {
    connected: () => apply({ kind: 'connected', now: Date.now() }),
    heard: (message) => apply({ kind: 'message', now: Date.now(), message }),
    disconnected: () => apply({ kind: 'disconnected', now: Date.now() }),
  });
  connection.open();
  setInterval(() => {
    const now = Date.now();
    const due = nextSimulatedTick(agent);
    if (due !== undefined && due <= now) apply({ kind: 'tick', now });
  }, tickMs);
  return connection;
}
