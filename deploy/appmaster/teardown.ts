import { encodeJson } from '#proto/messages.ts';
import { subjectsOf } from '#proto/subjects.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import type { Configuration } from '#runtime/config/configuration.ts';
import { natsOf } from '#runtime/config/connections.ts';

/** Stores the command that ends the framework: a JobManager without the driver cannot deregister itself. */
export async function requestTeardown(
  cluster: string,
  configuration: Configuration,
): Promise<void> {
  const { servers, ...credentials } = natsOf(configuration);
  const name = `drey-appmaster-${process.pid}`;
  const bus = await connectBus({ servers, credentials, name, clock: systemClock });
  try {
    await bus.append(subjectsOf(cluster).admin('teardown'), encodeJson({}));
  } finally {
    await bus.close();
  }
}
