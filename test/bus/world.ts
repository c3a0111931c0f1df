import type { TestContext } from 'node:test';
import type { Bus, BusMessage, StreamMessage } from '#runtime/bus/bus.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import { type NatsServer, type NatsVersion, startNats } from '#test/world/nats.ts';

/** Both ends of the range of servers that must work. */
export const versions: readonly NatsVersion[] = ['current', 'oldest'];

/** A server that is stopped when the test ends. */
export async function server(t: TestContext, version: NatsVersion): Promise<NatsServer> {
  const nats = await startNats({ version });
  t.after(() => nats.stop());
  return nats;
}

/** A bus that is closed when the test ends. */
export async function bus(t: TestContext, nats: NatsServer, name = 'test'): Promise<Bus> {
  const connected = await connectBus({ servers: [nats.url], name, clock: systemClock });
  t.after(() => connected.close());
  return connected;
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function text(message: BusMessage | StreamMessage): string {
  return new TextDecoder().decode(message.data);
}

export const full = process.env.DREY_FULL === '1';
