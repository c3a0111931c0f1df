import type { Clock } from '../clock.ts';
import { BadMessageError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { BusMessage, StreamMessage, Subscription } from './bus.ts';
import type { JetStream } from './jetstream.ts';
import { Pull } from './pull.ts';
import type { Wire, WireMessage } from './wire.ts';

/** What reading a stream needs. */
export interface ReadingGround {
  readonly wire: Wire;
  readonly jetStream: JetStream;
  readonly clock: Clock;
  readonly log: Log;
}

/** Hands over the messages of a durable consumer until drained. */
export function consume(
  ground: ReadingGround,
  stream: string,
  durable: string,
  options: { readonly maxPending: number; readonly ackWaitMs: number },
  handle: (message: StreamMessage) => void,
): Promise<Subscription> {
  const { wire, jetStream, clock } = ground;
  return Pull.start({
    wire,
    clock,
    log: ground.log.child({ stream, consumer: durable }),
    batch: options.maxPending,
    establish: async () => {
      const { created } = await jetStream.stream(stream);
      await jetStream.ensureDurable(stream, durable, options);
      return { stream, consumer: durable, created };
    },
    handle: (message, source) => handle(streamMessage(wire, message, source.created)),
  });
}

/** Hands over what the stream holds from `count` messages before its end, then what is new. */
export function replay(
  ground: ReadingGround,
  stream: string,
  filter: string,
  count: number,
  handle: (message: BusMessage) => void,
): Promise<Subscription> {
  const { wire, jetStream, clock } = ground;
  let created: string | undefined;
  let next = 0;
  return Pull.start({
    wire,
    clock,
    log: ground.log.child({ stream }),
    batch: 256,
    establish: async () => {
      const info = await jetStream.stream(stream);
      if (created === undefined) next = info.state.last_seq + 1 - count;
      // Another stream by the same name: everything in it is new.
      else if (created !== info.created) next = 1;
      created = info.created;
      next = Math.max(next, 1);
      return { stream, consumer: await jetStream.createReader(stream, filter, next) };
    },
    handle: (message) => {
      next = receiptOf(message).sequence + 1;
      handle(plain(message));
    },
  });
}

interface Receipt {
  readonly subject: string;
  readonly sequence: number;
  readonly deliveries: number;
  readonly storedAt: string;
}

/** `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<deliveries>.<sequence>.<n>.<time>.<pending>[.<random>]` */
function receiptOf(message: WireMessage): Receipt {
  const subject = message.reply ?? '';
  const tokens = subject.split('.');
  const at = tokens.length >= 11 ? 6 : 4;
  const deliveries = Number(tokens[at]);
  const sequence = Number(tokens[at + 1]);
  const storedAt = tokens[at + 3] ?? '';
  const isWhole = Number.isInteger(deliveries) && Number.isInteger(sequence);
  if (tokens[1] !== 'ACK' || !isWhole || !/^\d+$/.test(storedAt)) {
    throw new BadMessageError(`"${subject}" is not where a stream's message is acknowledged`);
  }
  return { subject, sequence, deliveries, storedAt };
}

const acknowledged = new TextEncoder().encode('+ACK');

function streamMessage(wire: Wire, message: WireMessage, created: string): StreamMessage {
  const receipt = receiptOf(message);
  return {
    ...plain(message),
    streamCreated: created,
    sequence: receipt.sequence,
    deliveries: receipt.deliveries,
    storedAt: receipt.storedAt,
    // An acknowledgement that is dropped or lost means redelivery: whoever handles it knows it again.
    ack: () => {
      wire.publish(receipt.subject, acknowledged);
    },
    nak: (delayMs) => {
      const wish = JSON.stringify({ delay: Math.round(delayMs * 1_000_000) });
      wire.publish(receipt.subject, new TextEncoder().encode(`-NAK ${wish}`));
    },
  };
}

/** Without the reply subject: nobody waits for an answer there. */
function plain(message: WireMessage): BusMessage {
  return { subject: message.subject, data: message.data, headers: message.headers };
}
