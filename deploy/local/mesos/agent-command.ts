import { cpus, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { onTermination } from '#runtime/shutdown.ts';
import { serveFiles } from './agent/files-api.ts';
import type { MasterAddress } from './agent/master-connection.ts';
import { workDirectory } from './agent/paths.ts';
import { RunningAgent } from './agent/running-agent.ts';
import { parseAttributes } from './attributes.ts';
import { parseResources, toMesos } from './core/resources.ts';
import { announce, numberFlag, stopFailed, textFlag, UsageError } from './usage.ts';
import { followLeader, parseZooKeeper } from './zookeeper.ts';

const options = {
  master: { type: 'string' },
  'work-dir': { type: 'string' },
  ip: { type: 'string' },
  port: { type: 'string' },
  hostname: { type: 'string' },
  resources: { type: 'string' },
  attributes: { type: 'string' },
  /** SIGTERM leaves the tasks to the next agent on the same work directory. */
  'keep-tasks': { type: 'boolean' },
  /** Tasks run as the agent's own user whatever they ask for; so they do without root anyway. */
  'no-switch-user': { type: 'boolean' },
} as const;

/** `main.ts agent`: registers with the master and runs its tasks until it is told to stop. */
export async function agentCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options, strict: true });
  if (values['work-dir'] === undefined)
    throw new UsageError('--work-dir names the directory for sandboxes');
  const master = await masterAddress(values.master);
  const ip = textFlag(values, 'ip', '127.0.0.1');
  const resources = parseResources(textFlag(values, 'resources', machineResources()));
  const attributes = parseAttributes(textFlag(values, 'attributes', ''));
  const directory = workDirectory(resolve(values['work-dir']));
  let agent: RunningAgent | undefined;
  const address = { ip, port: numberFlag(values, 'port', 0) };
  const { server, port } = await serveFiles(address, directory, () => agent);
  const running = new RunningAgent({
    directory,
    registration: {
      hostname: textFlag(values, 'hostname', ip),
      ip,
      port,
      resources: toMesos(resources, { withRole: false, allocatedTo: undefined }),
      attributes,
    },
    switchUser: process.getuid?.() === 0 && values['no-switch-user'] !== true,
    master,
  });
  agent = running;
  onTermination(async () => {
    if (values['keep-tasks'] === true) running.leave();
    else await running.stop();
    server.closeAllConnections();
    server.close();
  }, stopFailed);
  await running.registered;
  announce({ port, pid: process.pid, agentId: running.state.agentId });
}

/** `--master`: an address, or where the leading master is told. @throws UsageError */
export async function masterAddress(text = ''): Promise<MasterAddress> {
  if (text.startsWith('zk://')) return followLeader(parseZooKeeper(text));
  const [, host, port] = /^([^:/]+):(\d+)$/.exec(text) ?? [];
  if (host === undefined) {
    throw new UsageError(`--master must be HOST:PORT or zk://HOST:PORT/PATH, not '${text}'`);
  }
  return () => Promise.resolve({ host, port: Number(port) });
}

function machineResources(): string {
  const mem = Math.floor(totalmem() / 2 / 1024 / 1024);
  return `cpus:${cpus().length};mem:${mem};disk:20480;ports:[31000-32000]`;
}
