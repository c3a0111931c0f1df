import type { TestContext } from 'node:test';
import type { Bus, BusMessage, StreamMessage } from '#runtime/bus/bus.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import { type NatsServer, type NatsVersion, startNats } from '#test/world/nats.ts';

/** Both ends of the range of servers that must work. */
export const versions: readonly NatsVersion[] = ['current', 'oldest'];

const opened = new WeakMap<NatsServer, Bus[]>();

/** A server that is stopped when the test ends, after all its buses. */
export async function server(t: TestContext, version: NatsVersion): Promise<NatsServer> {
  const nats = await startNats({ version });
  opened.set(nats, []);
  t.after(async () => {
    await Promise.all((opened.get(nats) ?? []).map((connected) => connected.close()));
    await nats.stop();
  });
  return nats;
}

/** A bus that is closed when the test ends. */
export async function bus(nats: NatsServer): Promise<Bus> {
  const connected = await connectBus({ servers: [nats.url], name: 'test', clock: systemClock });
  opened.get(nats)?.push(connected);
  return connected;
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function text(message: BusMessage | StreamMessage): string {
  return new TextDecoder().decode(message.data);
}

export const full = process.env.DREY_FULL === '1';
