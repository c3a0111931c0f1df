export type Headers = Readonly<Record<string, string>>;

/** A message as it came. */
export interface BusMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: Headers;
  /** Where the answer goes, when the sender waits for one. */
  readonly reply?: string;
}

/** A message of a stream, kept by the server until `ack`. */
export interface StreamMessage extends BusMessage {
  /** The stream's creation time (RFC 3339): with `sequence` and `storedAt` it names the message for ever. */
  readonly streamCreated: string;
  /** Given out again by a server that died before it had flushed the message to disk. */
  readonly sequence: number;
  /** When the server stored it, ns since 1970 as digits; the same on each delivery. */
  readonly storedAt: string;
  /** 1 on the first delivery. */
  readonly deliveries: number;
  ack(): void;
  /** Asks for redelivery after `delayMs`. */
  nak(delayMs: number): void;
}

export interface Subscription {
  /** Takes no new messages; resolves when those already taken have been handed over. */
  drain(): Promise<void>;
}

/** A question that a micro service answers (`nats micro ls`, `info`, `stats` show it). */
export interface Endpoint {
  readonly name: string;
  readonly subject: string;
  /** The body of the answer; a thrown DreyError answers with its code and message in the service error headers. `undefined` where somebody else answers on `reply`. */
  readonly handle: (message: BusMessage) => Promise<Uint8Array | undefined>;
}

export interface ServiceOptions {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly queue: string;
  readonly endpoints: readonly Endpoint[];
}

export interface StreamOptions {
  readonly name: string;
  readonly subjects: readonly string[];
  /** `workqueue`: kept until acknowledged. `limits`: kept up to the limits below. */
  readonly retention: 'workqueue' | 'limits';
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  /** On how many servers it is kept; 1 unless said. More than one needs a cluster of servers. */
  readonly replicas?: number;
}

/** The message bus as the rest of drey sees it; never the truth, any message may be lost, doubled or late. */
export interface Bus {
  /** Sends and forgets. While the connection is away the message is dropped. Returns whether it was handed to the connection. */
  publish(subject: string, data: Uint8Array, headers?: Headers): boolean;
  /**
   * @throws NoResponderError certainly not handled.
   * @throws RequestTimeoutError unknown.
   * @throws BusUnavailableError certainly not sent.
   */
  request(
    subject: string,
    data: Uint8Array,
    options: { readonly timeoutMs: number; readonly headers?: Headers },
  ): Promise<BusMessage>;
  /** Each message goes to one member of the queue group, or to every subscriber where no queue is named. */
  subscribe(
    subject: string,
    queue: string | undefined,
    handle: (message: BusMessage) => void,
  ): Subscription;
  /** Creates the stream, or mends its options; reads them back and compares (an older server ignores what it does not know). */
  ensureStream(options: StreamOptions): Promise<void>;
  /** Stores a message in the stream that listens on `subject`; resolves to its sequence once the server has it. @throws BusUnavailableError, NoResponderError, RequestTimeoutError */
  append(subject: string, data: Uint8Array, headers?: Headers): Promise<number>;
  /** Hands over the messages of a durable consumer, at most `maxPending` unacknowledged over all copies, for ever (survives reconnects). */
  consume(
    stream: string,
    durable: string,
    options: { readonly maxPending: number; readonly ackWaitMs: number },
    handle: (message: StreamMessage) => void,
  ): Promise<Subscription>;
  /** Hands over stored messages, the oldest first, from `count` before the end, then new ones; no acknowledgement. */
  replay(
    stream: string,
    filter: string,
    count: number,
    handle: (message: BusMessage) => void,
  ): Promise<Subscription>;
  serve(options: ServiceOptions): Promise<Subscription>;
  readonly connected: boolean;
  onConnection(listener: (connected: boolean) => void): () => void;
  /** Ends subscriptions after what they hold was handled, flushes, closes. */
  close(): Promise<void>;
}
