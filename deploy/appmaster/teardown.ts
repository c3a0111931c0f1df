import { encodeJson } from '#proto/messages.ts';
import { subjectsOf } from '#proto/subjects.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import type { Configuration } from '#runtime/config/configuration.ts';
import type { Plan } from './plan.ts';

/** Stores the command that ends the framework: a JobManager without the driver cannot deregister itself. */
export async function requestTeardown(
  plan: Plan,
  configuration: Configuration,
  servers: string,
): Promise<void> {
  const user = configuration.string('drey.nats.user');
  const password = configuration.string('drey.nats.password');
  const token = configuration.string('drey.nats.token');
  const bus = await connectBus({
    servers: servers.split(',').map((server) => server.trim()),
    name: `appmaster ${plan.cluster}`,
    clock: systemClock,
    credentials: {
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { password }),
      ...(token === undefined ? {} : { token }),
    },
  });
  try {
    await bus.append(subjectsOf(plan.cluster).admin('teardown'), encodeJson({}));
  } finally {
    await bus.close();
  }
}
