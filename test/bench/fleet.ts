import { prepareCluster } from '#test/world/cluster.ts';
import { startMesos } from '#test/world/mesos.ts';
import { until } from '#test/world/until.ts';
import type { World } from '#test/world/world.ts';

/** Seconds from the command to scale until the last ACCEPT was taken and the last worker ran. */
export interface FleetFigures {
  readonly workers: number;
  readonly launchedSeconds: number;
  readonly runningSeconds: number;
}

const agents = 100;

/** Scales from none to so many simulated workers, with two processes of functions and one gateway. */
export async function measureFleet(world: World, workers: number): Promise<FleetFigures> {
  const mesos = await startMesos(world, {
    simulated: agents,
    resources: 'cpus:8;mem:16384;disk:10000',
  });
  const cluster = await prepareCluster(world, {
    master: mesos.address,
    name: 'bench-fleet',
    settings: {
      'drey.demand': 'fixed',
      'taskmanager.cpu.cores': 1,
      'taskmanager.memory.process.size': '1024m',
    },
  });
  await cluster.startGateway();
  await Promise.all([1, 2].map(() => cluster.startFunctions()));
  await cluster.leader();
  const started = performance.now();
  const answer = await cluster.drey.do('scale', { workers });
  if (!answer.ok) throw new Error(answer.message);
  const since = async (what: string, reached: () => Promise<boolean>): Promise<number> => {
    await until(reached, { deadlineMs: 120_000, what, everyMs: 50 });
    return (performance.now() - started) / 1000;
  };
  const launchedSeconds = await since(
    'everyone is launched',
    async () => (await mesos.framework()).tasks.length === workers,
  );
  const runningSeconds = await since('everyone runs', async () => {
    const { tasks } = await mesos.framework();
    return tasks.filter(({ state }) => state === 'TASK_RUNNING').length === workers;
  });
  return { workers, launchedSeconds, runningSeconds };
}
