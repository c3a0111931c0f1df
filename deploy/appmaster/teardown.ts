import { inboxOf } from '#proto/access.ts';
import { encodeJson } from '#proto/messages.ts';
import { subjectsOf } from '#proto/subjects.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import type { Configuration } from '#runtime/config/configuration.ts';
import { connectingNats, natsOf } from '#runtime/config/connections.ts';

const connectLimitMs = 10_000;

/**
 * Stores the command that ends this framework and no later one; it is kept until a function applies it.
 * @throws DreyError when NATS or the stream of commands is away.
 */
export async function requestTeardown(
  cluster: string,
  configuration: Configuration,
  framework: string,
): Promise<void> {
  const { servers, ...credentials } = natsOf(configuration, 'appmaster');
  const name = `drey-appmaster-${process.pid}`;
  const bus = await connectingNats(
    connectBus({
      servers,
      credentials,
      name,
      inbox: inboxOf(cluster, 'appmaster'),
      clock: systemClock,
      connectTimeoutMs: connectLimitMs,
    }),
  );
  try {
    const command = { framework, why: 'Flink ended its cluster' };
    await bus.append(subjectsOf(cluster).admin('teardown'), encodeJson(command));
  } finally {
    await bus.close();
  }
}
