import type { Clock } from '../clock.ts';
import { type Log, silentLog } from '../log.ts';
import { Appends } from './appends.ts';
import type { Bus, BusMessage, Headers, Subscription } from './bus.ts';
import { Connection } from './connection.ts';
import { consume, replay } from './consumers.ts';
import type { Credentials } from './dial.ts';
import { JetStream } from './jetstream.ts';
import { serve } from './micro.ts';
import { Requests } from './requests.ts';

export interface BusOptions {
  /** `nats://[user:password@]host[:port]`, tried in turn. */
  readonly servers: readonly string[];
  /** Shown by the server's monitoring. */
  readonly name: string;
  readonly credentials?: Credentials;
  /** How every subject for answers begins, so that a user may be allowed his own alone; `_INBOX` unless said. */
  readonly inbox?: string;
  readonly clock: Clock;
  readonly log?: Log;
  /** How long the first connection may take; default 30 s. */
  readonly connectTimeoutMs?: number;
}

/** @throws BusUnavailableError naming the servers when none let us in before `connectTimeoutMs`. */
export async function connectBus(options: BusOptions): Promise<Bus> {
  const { clock, log = silentLog } = options;
  const wire = await Connection.open({ ...options, log });
  const requests = new Requests(wire, clock);
  const appends = new Appends(requests);
  const jetStream = new JetStream(requests);
  const ground = { wire, jetStream, clock, log };
  const open = new Set<Subscription>();
  const track = (subscription: Subscription): Subscription => {
    const tracked = {
      drain: () => {
        open.delete(tracked);
        return subscription.drain();
      },
    };
    open.add(tracked);
    return tracked;
  };
  return {
    publish: (subject: string, data: Uint8Array, headers?: Headers) =>
      wire.publish(subject, data, { headers }),
    request: (subject, data, how): Promise<BusMessage> => requests.send(subject, data, how),
    subscribe: (subject, queue, handle) => wire.subscribe(subject, queue, handle),
    ensureStream: (stream) => jetStream.ensureStream(stream),
    append: (subject, data, headers) => appends.append(subject, data, headers),
    consume: async (stream, durable, how, handle) =>
      track(await consume(ground, stream, durable, how, handle)),
    replay: async (stream, filter, count, handle) =>
      track(await replay(ground, stream, filter, count, handle)),
    serve: async (service) => track(serve(ground, service)),
    get connected() {
      return wire.connected;
    },
    onConnection: (listener) => wire.onConnection(listener),
    close: async () => {
      await Promise.all([...open].map((subscription) => subscription.drain()));
      await requests.close();
      await wire.close();
    },
  };
}
