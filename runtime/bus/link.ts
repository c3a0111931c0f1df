import {
  type Msg,
  type NatsConnection,
  NatsError,
  type Subscription as NatsSubscription,
  headers as newHeaders,
} from 'nats';
import type { Clock, Timer } from '../clock.ts';
import { BadMessageError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Headers } from './bus.ts';
import type { Envelope, WireMessage } from './wire.ts';

/** A server that leaves this many beats without an answer is left. */
const maxMissedBeats = 4;
const beatMs = 1000;
/** Bytes that no answered beat has confirmed; beyond them messages are dropped. */
const maxUnconfirmedBytes = 32 * 1024 * 1024;
const noHeaders: Headers = Object.freeze({});

/** What a connection listens to, whichever link stands. */
export interface Interest {
  readonly subject: string;
  readonly queue: string | undefined;
  readonly handle: (message: WireMessage) => void;
}

/** One established connection to one server, until it is over. */
export class Link {
  /** Resolves once it can be used no more. */
  readonly over: Promise<void>;
  readonly #nats: NatsConnection;
  readonly #clock: Clock;
  readonly #log: Log;
  #confirmedBytes = 0;
  #answered = 0;
  #ended = false;
  #nextBeat: Timer | undefined;

  constructor(nats: NatsConnection, clock: Clock, log: Log) {
    this.#nats = nats;
    this.#clock = clock;
    this.#log = log;
    this.over = nats.closed().then(() => {
      this.#ended = true;
      this.#nextBeat?.cancel();
    });
    this.#beat();
    void this.#watch();
  }

  /** The server has answered beyond the moment at which it let us in. */
  get proven(): boolean {
    return this.#answered > 1;
  }

  /** `host:port` of servers that this one tells of. */
  get neighbours(): readonly string[] {
    return this.#nats.info?.connect_urls ?? [];
  }

  /** Returns false where the message was dropped: the link is over, or its server reads nothing. */
  publish(subject: string, data: Uint8Array, { headers, reply }: Envelope): boolean {
    const unconfirmed = this.#nats.stats().outBytes - this.#confirmedBytes;
    if (this.#ended || unconfirmed > maxUnconfirmedBytes) return false;
    try {
      this.#nats.publish(subject, data, {
        ...(reply === undefined ? {} : { reply }),
        ...(headers === undefined ? {} : { headers: encodeHeaders(headers) }),
      });
      return true;
    } catch (error) {
      if (!(error instanceof NatsError)) throw error;
      if (this.#nats.isClosed() || this.#nats.isDraining()) return false;
      const size = `${data.byteLength} bytes, the server takes ${this.#nats.info?.max_payload}`;
      throw new BadMessageError(`message on ${subject} (${size}): ${error.message}`, {
        cause: error,
      });
    }
  }

  /** Returns the way to end it: resolves when what had come was handed over. */
  listen({ subject, queue, handle }: Interest): () => Promise<void> {
    const subscription: NatsSubscription = this.#nats.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error, message) => {
        if (error !== null) {
          this.#log.error({ subject, error }, 'NATS refuses a subscription');
          return;
        }
        try {
          handle(decode(message));
        } catch (thrown) {
          // Thrown here it would end the client's reader unseen and leave the connection deaf.
          queueMicrotask(() => {
            throw thrown;
          });
        }
      },
    });
    return async () => {
      if (this.#ended || subscription.isClosed()) return;
      await Promise.race([subscription.drain(), this.over]);
    };
  }

  /** Sends what was handed over, as far as the server still reads, and closes. */
  async close(): Promise<void> {
    const patience = Promise.withResolvers<void>();
    const timer = this.#clock.after(maxMissedBeats * beatMs, patience.resolve);
    const flushed = this.#nats.flush().catch(() => {
      // The connection broke meanwhile: nothing is left to be sent.
    });
    await Promise.race([flushed, this.over, patience.promise]);
    timer.cancel();
    await this.#nats.close();
    await this.over;
  }

  /** A beat is a PING; its PONG says that the server has read all that was sent before. */
  #beat(): void {
    let missed = 0;
    let underWay = false;
    const beat = () => {
      if (underWay) missed += 1;
      // Counted in beats, not in time: after a pause of our own the answers are still to be read.
      if (missed >= maxMissedBeats) {
        this.#log.warn({ missed }, 'NATS does not answer, leaving it');
        void this.#nats.close();
        return;
      }
      if (!underWay) {
        underWay = true;
        const sent = this.#nats.stats().outBytes;
        const answered = () => {
          underWay = false;
          missed = 0;
          this.#answered += 1;
          this.#confirmedBytes = sent;
        };
        // A rejected flush is a closed connection: `over` tells.
        this.#nats.flush().then(answered, () => {});
      }
      this.#nextBeat = this.#clock.after(beatMs, beat);
    };
    beat();
  }

  /** Writes down what the server complains of. */
  async #watch(): Promise<void> {
    for await (const status of this.#nats.status()) {
      if (status.type === 'error') this.#log.warn({ complaint: status.data }, 'NATS complains');
    }
  }
}

function encodeHeaders(headers: Headers) {
  const encoded = newHeaders();
  for (const [key, value] of Object.entries(headers)) {
    encoded.append(key, value.replace(/[\r\n]+/g, ' '));
  }
  return encoded;
}

function decode(message: Msg): WireMessage {
  const { headers, reply } = message;
  return {
    subject: message.subject,
    data: message.data,
    headers:
      headers === undefined
        ? noHeaders
        : Object.fromEntries(headers.keys().map((key) => [key, headers.get(key)])),
    ...(reply ? { reply } : {}),
    status: headers?.code ?? 0,
    statusText: headers?.description ?? '',
  };
}
