import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'nats';
import type { StreamMessage, StreamOptions } from '#runtime/bus/bus.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import type { NatsServer } from '#test/world/nats.ts';
import { startNatsCluster } from '#test/world/nats-cluster.ts';
import { until } from '#test/world/until.ts';
import { full } from './world.ts';

const commands: StreamOptions = {
  name: 'COMMANDS',
  subjects: ['do.*'],
  retention: 'workqueue',
  maxBytes: 10_000_000,
  maxAgeMs: 86_400_000,
};

test('bus: a stream on three servers outlives each of them, and one on a single server becomes one on three', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'drey-cluster-'));
  const servers = await startNatsCluster(dir);
  const client = await connectBus({
    servers: servers.map(({ url }) => url),
    name: 'test',
    clock: systemClock,
  });
  try {
    await client.ensureStream(commands);
    await client.ensureStream({ ...commands, replicas: 3 });
    await until(() => caughtUp(servers), {
      deadlineMs: 120_000,
      what: 'the stream is on all servers',
      everyMs: 200,
    });
    const heard: number[] = [];
    const oneByOne = { maxPending: 1, ackWaitMs: 2000 };
    await client.consume('COMMANDS', 'all', oneByOne, (message: StreamMessage) => {
      heard.push(JSON.parse(new TextDecoder().decode(message.data)) as number);
      message.ack();
    });
    // In the quick form only the one that the client is connected to.
    const victims = full ? servers : servers.slice(0, 1);
    for (const [n, server] of victims.entries()) {
      await server.kill();
      // While a new leader is elected nothing is taken, and the sender is told so.
      await until(() => client.append('do.it', new TextEncoder().encode(String(n))), {
        deadlineMs: 120_000,
        what: `a command is stored while server ${n} is away`,
        everyMs: 200,
      });
      await until(() => heard.includes(n), {
        deadlineMs: 120_000,
        what: `a command is delivered while server ${n} is away`,
      });
      await server.restart();
      await until(() => caughtUp(servers), {
        deadlineMs: 120_000,
        what: `server ${n} has caught up`,
        everyMs: 200,
      });
    }
    assert.deepEqual([...new Set(heard)], [...victims.keys()]);
  } finally {
    await client.close();
    await Promise.all(servers.map((server) => server.stop()));
    await rm(dir, { recursive: true, force: true });
  }
});

/** Whether the stream has a leader and its other copies are whole: only then the next server may go. */
async function caughtUp(servers: readonly NatsServer[]): Promise<boolean> {
  const connection = await connect({ servers: servers.map(({ url }) => url), timeout: 2000 });
  try {
    const manager = await connection.jetstreamManager();
    const { cluster } = await manager.streams.info(commands.name);
    const whole = cluster?.replicas?.filter(({ current, offline }) => current && offline !== true);
    return cluster?.leader !== undefined && whole?.length === servers.length - 1;
  } finally {
    await connection.close();
  }
}
