import { join } from 'node:path';
import { z } from 'zod';
import { type Part, saysReady } from './part.ts';
import { freePort, freePorts } from './ports.ts';
import { until } from './until.ts';
import type { World } from './world.ts';

const main = join(import.meta.dirname, '../../deploy/local/mesos/main.ts');

/** The local Mesos of a world: one master and its agents, as processes of their own. */
export interface Mesos {
  /** `127.0.0.1:port` */
  readonly address: string;
  readonly master: Part;
  readonly agents: readonly Part[];
  /** The process of the simulated agents that live apart from the master. */
  readonly agentsApart: Part | undefined;
  /** What the master has seen since it was started. */
  history(): Promise<History>;
  frameworks(): Promise<readonly Framework[]>;
  /** The one framework that is registered. */
  framework(): Promise<Framework>;
}

export interface MesosOptions {
  /** Real agents, each a process that runs real tasks. */
  readonly agents?: number;
  /** Agents without processes, in the master's own process. */
  readonly simulated?: number;
  /** The same in a process of their own: they outlive the master. */
  readonly simulatedApart?: number;
  /** Resources of each agent; real agents get free ports of their own besides. */
  readonly resources?: string;
  /** Further flags of the master, `--name=value`. */
  readonly flags?: readonly string[];
}

const task = z.looseObject({ id: z.string(), state: z.string(), slave_id: z.string() });
export type Task = z.infer<typeof task>;

const framework = z.looseObject({
  id: z.string(),
  active: z.boolean(),
  suppressed_roles: z.array(z.string()),
  tasks: z.array(task),
  completed_tasks: z.array(task),
  offers: z.array(z.unknown()),
});
export type Framework = z.infer<typeof framework>;

const frameworks = z.looseObject({
  frameworks: z.array(framework),
  completed_frameworks: z.array(z.looseObject({ id: z.string() })),
});

const history = z.looseObject({
  /** Framework id, then task id, to the number of launches. */
  launches: z.record(z.string(), z.record(z.string(), z.number())),
  updates: z.array(
    z.looseObject({
      at: z.number(),
      taskId: z.string(),
      state: z.string(),
      delivered: z.boolean(),
    }),
  ),
  offers: z.object({
    made: z.number(),
    accepted: z.number(),
    declined: z.number(),
    rescinded: z.number(),
  }),
});
export type History = z.infer<typeof history>;

/** Starts a master and its agents; resolves when all agents are registered. */
export async function startMesos(
  world: Pick<World, 'dir' | 'start'>,
  options: MesosOptions = {},
): Promise<Mesos> {
  const { agents: count = 0, simulated = 0, resources = 'cpus:8;mem:8192;disk:10000' } = options;
  const { flags = [], simulatedApart = 0 } = options;
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const run = (name: string, args: readonly string[]): Promise<Part> =>
    world.start({
      name,
      file: process.execPath,
      args: [main, ...args],
      cwd: world.dir,
      ready: saysReady,
      readyMs: patienceMs,
    });
  const master = await run('mesos-master', [
    ...masterArguments(port, simulated, resources),
    ...flags,
  ]);
  const apart = [`--count=${simulatedApart}`, `--resources=${resources};${simulatedPorts}`];
  const agentsApart =
    simulatedApart === 0
      ? undefined
      : await run('mesos-agents', ['simulated-agents', `--master=${address}`, ...apart]);
  const agents: Part[] = [];
  for (let n = 1; n <= count; n++) {
    agents.push(
      await run(`mesos-agent-${n}`, await agentArguments(address, n, world.dir, resources)),
    );
  }
  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(`http://${address}${path}`, { signal: AbortSignal.timeout(5000) });
    return response.json();
  };
  await until(
    async () => {
      const state = z.looseObject({ activated_slaves: z.number() }).parse(await get('/state'));
      return state.activated_slaves === count + simulated + simulatedApart;
    },
    { deadlineMs: patienceMs, what: `${count + simulated + simulatedApart} agents are registered` },
  );
  const list = async (): Promise<readonly Framework[]> =>
    frameworks.parse(await get('/frameworks')).frameworks;
  return {
    address,
    master,
    agents,
    agentsApart,
    history: async () => history.parse(await get('/local/history')),
    frameworks: list,
    framework: async () => {
      const [one, ...more] = await list();
      if (one === undefined || more.length > 0) {
        throw new Error(`${more.length + (one ? 1 : 0)} frameworks are registered, not one`);
      }
      return one;
    },
  };
}

/** All agents live on one machine: their tasks must not get the same ports. */
async function ownPorts(): Promise<string> {
  const ports = await freePorts(portsPerAgent);
  return `ports:[${ports.map((port) => `${port}-${port}`).join(',')}]`;
}

/** On a machine that is busy with other work. */
const patienceMs = 90_000;
const portsPerAgent = 24;
const simulatedPorts = 'ports:[31000-31999]';

function masterArguments(port: number, simulated: number, resources: string): readonly string[] {
  return [
    'master',
    `--port=${port}`,
    ...(simulated === 0
      ? []
      : [`--simulate-agents=${simulated}`, `--simulate-resources=${resources};${simulatedPorts}`]),
  ];
}

async function agentArguments(
  master: string,
  n: number,
  dir: string,
  resources: string,
): Promise<readonly string[]> {
  return [
    'agent',
    `--master=${master}`,
    `--hostname=127.0.0.${n}`,
    `--work-dir=${join(dir, `mesos-agent-${n}`)}`,
    `--resources=${resources};${await ownPorts()}`,
  ];
}
