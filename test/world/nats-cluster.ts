import { join } from 'node:path';
import { connect } from 'nats';
import { type NatsServer, startNats } from './nats.ts';
import { freePorts } from './ports.ts';
import { until } from './until.ts';

const size = 3;

/** Starts three servers that keep streams together; resolves when they have elected who leads. */
export async function startNatsCluster(
  dir: string,
): Promise<readonly [NatsServer, ...NatsServer[]]> {
  const routes = await freePorts(size);
  const known = routes.map((port) => `"nats-route://127.0.0.1:${port}"`).join(', ');
  // No address but the given one is told to clients: they stay behind their relays.
  const cluster = (port: number) =>
    `cluster { name: "test", listen: "127.0.0.1:${port}", routes: [${known}], no_advertise: true }`;
  const servers = await Promise.all(
    routes.map((port, n) =>
      startNats({ dir: join(dir, `nats-${n + 1}`), configuration: cluster(port) }),
    ),
  );
  try {
    await until(() => keepsStreams(servers), {
      deadlineMs: 60_000,
      what: 'the NATS servers keep streams together',
      everyMs: 200,
    });
  } catch (error) {
    await Promise.all(servers.map((server) => server.stop()));
    throw error;
  }
  const [first, ...others] = servers;
  if (first === undefined) throw new RangeError(`a cluster of ${size} servers has a first one`);
  return [first, ...others];
}

async function keepsStreams(servers: readonly NatsServer[]): Promise<boolean> {
  const connection = await connect({ servers: servers.map(({ url }) => url), timeout: 2000 });
  try {
    const manager = await connection.jetstreamManager();
    const name = 'CLUSTER_IS_UP';
    await manager.streams.add({ name, subjects: ['cluster.is.up'], num_replicas: size });
    return await manager.streams.delete(name);
  } finally {
    await connection.close();
  }
}
