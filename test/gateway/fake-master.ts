import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeCall, encodeEvent } from '#proto/mesos/codec.ts';
import { frameRecord } from '#proto/mesos/record-io.ts';
import type { SchedulerCall, SchedulerEvent } from '#proto/mesos/types.ts';

/** One request as it came. */
export interface Heard {
  readonly call: SchedulerCall;
  readonly headers: IncomingMessage['headers'];
  readonly path: string;
  readonly connection: number;
}

/** A master that answers as a test tells it to, over real HTTP. */
export interface FakeMaster {
  readonly origin: string;
  readonly port: number;
  readonly heard: readonly Heard[];
  /** Sends an event on every open stream. */
  send(event: SchedulerEvent): void;
  sendBytes(bytes: Uint8Array): void;
  /** Ends every open stream, cleanly or by cutting the connection. */
  endStreams(how: 'clean' | 'cut'): void;
  readonly streams: number;
  /** Answers the next requests; undefined for the usual answer. */
  answer: ((heard: Heard, response: ServerResponse) => boolean) | undefined;
  /** Refuses new connections; open streams stay. */
  stopListening(): void;
  stop(): Promise<void>;
}

/** Starts it on a port of loopback. */
export async function startFakeMaster(): Promise<FakeMaster> {
  const heard: Heard[] = [];
  const streams = new Set<ServerResponse>();
  const master: { answer: FakeMaster['answer'] } = { answer: undefined };
  let connections = 0;
  const numbers = new WeakMap<object, number>();
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const connection = numbers.get(request.socket) ?? 0;
    const call = decodeCall(Buffer.concat(parts), 'protobuf');
    const one: Heard = { call, headers: request.headers, path: request.url ?? '', connection };
    heard.push(one);
    if (master.answer?.(one, response)) return;
    if (call.type === 'SUBSCRIBE') openStream(response, streams);
    else response.writeHead(202).end();
  });
  server.on('connection', (socket) => numbers.set(socket, ++connections));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sendBytes = (bytes: Uint8Array): void => {
    for (const stream of streams) stream.write(frameRecord(bytes));
  };
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    heard,
    send: (event) => sendBytes(encodeEvent(event, 'protobuf')),
    sendBytes,
    endStreams: (how) => {
      for (const stream of streams) {
        if (how === 'clean') stream.end();
        else stream.destroy();
      }
    },
    get streams() {
      return streams.size;
    },
    get answer() {
      return master.answer;
    },
    set answer(answer) {
      master.answer = answer;
    },
    stopListening: () => {
      server.close();
    },
    stop: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function openStream(response: ServerResponse, streams: Set<ServerResponse>): void {
  response.writeHead(200, {
    'Content-Type': 'application/x-protobuf',
    'Mesos-Stream-Id': `stream-${streams.size}-${Date.now()}`,
  });
  response.flushHeaders();
  streams.add(response);
  response.on('close', () => streams.delete(response));
}

/** SUBSCRIBED as a master of that id sends it. */
export function subscribed(frameworkId: string, masterId: string): SchedulerEvent {
  return {
    type: 'SUBSCRIBED',
    subscribed: {
      framework_id: { value: frameworkId },
      heartbeat_interval_seconds: 15,
      master_info: { id: masterId, ip: 16777343, port: 5050 },
    },
  };
}
