import { join } from 'node:path';
import { ConfigurationError } from '#runtime/errors.ts';
import type { Java } from './java.ts';
import { Part } from './part.ts';
import type { Plan } from './plan.ts';
import { type OwnServer, ownNats, ownZooKeeper } from './servers.ts';
import { ranks, type Stack } from './stack.ts';

const startLimitMs = 30_000;
const stopGraceMs = 5000;

/** Where NATS and ZooKeeper are, whether configured or started here. */
export interface ServerAddresses {
  readonly nats: string;
  readonly zookeeper: string;
}

/** Starts the servers that are configured nowhere, both at once. @throws ConfigurationError */
export async function startOwnServers(
  stack: Stack,
  plan: Plan,
  java: Java,
  say: (line: string) => void,
): Promise<ServerAddresses> {
  const keep = (name: string, server: OwnServer): Promise<void> =>
    startServer(stack, plan, name, server, say);
  const zookeeper = async (): Promise<string> => {
    if (plan.zookeeper.kind === 'configured') return plan.zookeeper.address;
    const server = await ownZooKeeper(plan.stateDir, plan.zookeeper.port, java);
    await keep('ZooKeeper', server);
    return `127.0.0.1:${server.port}`;
  };
  const nats = async (): Promise<string> => {
    if (plan.nats.kind === 'configured') return plan.nats.address;
    const server = await ownNats(plan.stateDir, plan.nats.port);
    await keep('nats-server', server);
    return `nats://127.0.0.1:${server.port}`;
  };
  const [zookeeperAddress, natsAddress] = await Promise.all([zookeeper(), nats()]);
  return { zookeeper: zookeeperAddress, nats: natsAddress };
}

async function startServer(
  stack: Stack,
  plan: Plan,
  name: string,
  server: OwnServer,
  say: (line: string) => void,
): Promise<void> {
  let ready = false;
  let failed: string | undefined;
  const log = join(plan.logDir, `${name.toLowerCase()}.log`);
  const part = new Part({
    name,
    log,
    say,
    command: () => server.command,
    onStart: (pid) => say(`${name} started, pid ${pid}, 127.0.0.1:${server.port}`),
    onEnd: (ended) => {
      if (ready) return 'again';
      failed = `${ended.how}: ${ended.lastLines.at(-1) ?? 'no output'}`;
      return 'leave';
    },
  });
  stack.start(part, ranks.server, stopGraceMs);
  const deadline = performance.now() + startLimitMs;
  while (!(await server.serves())) {
    if (stack.stopping) return;
    if (failed !== undefined || performance.now() > deadline) {
      const key = name === 'ZooKeeper' ? 'drey.zookeeper.quorum' : 'drey.nats.servers';
      const why = failed ?? `does not serve after ${startLimitMs / 1000} s`;
      throw new ConfigurationError(key, `our own ${name} ${why}; see ${log} or set ${key}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  ready = true;
}
