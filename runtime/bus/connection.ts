import {
  type Msg,
  type NatsConnection,
  NatsError,
  type Subscription as NatsSubscription,
  headers as newHeaders,
} from 'nats';
import type { Clock } from '../clock.ts';
import { sleep } from '../clock.ts';
import { BadMessageError, BusUnavailableError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Headers, Subscription } from './bus.ts';
import {
  type Credentials,
  dial,
  isRefusedLogin,
  parseServer,
  type ServerAddress,
  showServer,
} from './dial.ts';
import type { Envelope, Wire, WireMessage } from './wire.ts';

export interface ConnectionOptions {
  /** Tried in turn. */
  readonly servers: readonly string[];
  /** Shown by the server's monitoring. */
  readonly name: string;
  readonly credentials?: Credentials | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** How long the first connection may take; default 30 s. */
  readonly connectTimeoutMs?: number | undefined;
  /** In [0, 1): spreads reconnects of many processes. */
  readonly random?: (() => number) | undefined;
}

/** A server that leaves this many beats without an answer is left. */
const maxMissedBeats = 4;
const beatMs = 1000;
/** Bytes that no answered beat has confirmed; beyond them messages are dropped. */
const maxUnconfirmedBytes = 32 * 1024 * 1024;
const firstPauseMs = 100;
const longestPauseMs = 2000;
const noHeaders: Headers = Object.freeze({});

interface Listening {
  readonly subject: string;
  readonly queue: string | undefined;
  readonly handle: (message: WireMessage) => void;
  current: NatsSubscription | undefined;
}

/** One established connection; `over` resolves once it can be used no more. */
interface Link {
  readonly nats: NatsConnection;
  readonly over: Promise<void>;
  confirmedBytes: number;
}

/** Keeps a connection to one of the servers for ever and makes every subscription anew on each. */
export class Connection implements Wire {
  readonly servers: string;
  readonly #options: ConnectionOptions;
  readonly #known: ServerAddress[];
  readonly #listening = new Set<Listening>();
  readonly #listeners = new Set<(connected: boolean) => void>();
  #link: Link | undefined;
  #closed = false;
  #next = 0;

  private constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#known = options.servers.map(parseServer);
    if (this.#known.length === 0) throw new RangeError('no NATS server is named');
    this.servers = this.#known.map(showServer).join(', ');
  }

  /** @throws BusUnavailableError when no server let us in before `connectTimeoutMs`. */
  static async open(options: ConnectionOptions): Promise<Connection> {
    const connection = new Connection(options);
    const timeoutMs = options.connectTimeoutMs ?? 30_000;
    const link = await connection.#establish(options.clock.now() + timeoutMs);
    connection.#use(link);
    return connection;
  }

  get connected(): boolean {
    return this.#link !== undefined;
  }

  /** Largest message that the server takes. */
  get maxPayload(): number {
    return this.#link?.nats.info?.max_payload ?? 1024 * 1024;
  }

  publish(subject: string, data: Uint8Array, envelope: Envelope = {}): boolean {
    checkSubject(subject);
    const link = this.#link;
    if (link === undefined) return false;
    if (link.nats.stats().outBytes - link.confirmedBytes > maxUnconfirmedBytes) return false;
    const { headers, reply } = envelope;
    try {
      link.nats.publish(subject, data, {
        ...(reply === undefined ? {} : { reply }),
        ...(headers === undefined ? {} : { headers: encodeHeaders(headers) }),
      });
      return true;
    } catch (error) {
      if (!(error instanceof NatsError)) throw error;
      if (link.nats.isClosed() || link.nats.isDraining()) return false;
      const size = `${data.byteLength} bytes, the server takes ${this.maxPayload}`;
      throw new BadMessageError(`message on ${subject} (${size}): ${error.message}`, {
        cause: error,
      });
    }
  }

  subscribe(
    subject: string,
    queue: string | undefined,
    handle: (message: WireMessage) => void,
  ): Subscription {
    checkSubject(subject);
    const listening: Listening = { subject, queue, handle, current: undefined };
    this.#listening.add(listening);
    if (this.#link !== undefined) this.#listen(this.#link, listening);
    return { drain: () => this.#drain(listening) };
  }

  onConnection(listener: (connected: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends every subscription, sends what was handed over, closes. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const link = this.#link;
    await Promise.all([...this.#listening].map((listening) => this.#drain(listening)));
    if (link === undefined) return;
    const patience = sleep(this.#options.clock, maxMissedBeats * beatMs);
    await Promise.race([link.nats.flush().catch(() => {}), link.over, patience]);
    await link.nats.close();
    await link.over;
  }

  /** Tries the servers in turn until one lets us in. */
  async #establish(deadline: number): Promise<Link> {
    const { clock, log, name, credentials } = this.#options;
    const random = this.#options.random ?? Math.random;
    let pauseMs = firstPauseMs;
    while (!this.#closed) {
      const server = this.#nextServer();
      const where = showServer(server);
      try {
        const nats = await dial(server, name, credentials ?? {});
        log.info({ server: where, version: nats.info?.version }, 'connected to NATS');
        return this.#linkOf(nats);
      } catch (error) {
        const last = clock.now() + pauseMs >= deadline;
        if (last || (isRefusedLogin(error) && Number.isFinite(deadline))) {
          const why = error instanceof Error ? error.message : String(error);
          const text = `no NATS server at ${this.servers} lets us in (last: ${where}: ${why})`;
          throw new BusUnavailableError(text, { cause: error });
        }
        log.debug({ server: where, error }, 'NATS cannot be reached, trying again');
      }
      // Half to one and a half of the pause: processes that lost the same server come back spread.
      await sleep(clock, pauseMs * (0.5 + random()));
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
    }
    throw new BusUnavailableError('closed');
  }

  #nextServer(): ServerAddress {
    const server = this.#known[this.#next % this.#known.length];
    this.#next += 1;
    if (server === undefined) throw new RangeError('no NATS server is named');
    return server;
  }

  #linkOf(nats: NatsConnection): Link {
    for (const url of nats.info?.connect_urls ?? []) {
      const told = parseServer(url);
      const known = this.#known.some((server) => showServer(server) === showServer(told));
      const { host, port } = told;
      // Members of a cluster tell of each other; they take the same credentials as the first.
      if (!known && this.#known.length < 100)
        this.#known.push({ ...told, ...this.#known[0], host, port });
    }
    const over = nats.closed().then(() => {});
    return { nats, over, confirmedBytes: 0 };
  }

  #use(link: Link): void {
    for (const listening of this.#listening) this.#listen(link, listening);
    this.#link = link;
    this.#tell(true);
    this.#beat(link);
    void this.#watch(link);
    void link.over.then(() => this.#lost(link));
  }

  #lost(link: Link): void {
    if (this.#link !== link) return;
    this.#link = undefined;
    for (const listening of this.#listening) listening.current = undefined;
    if (!this.#closed) this.#options.log.warn({ servers: this.servers }, 'lost NATS');
    this.#tell(false);
    if (this.#closed) return;
    void this.#regain();
  }

  async #regain(): Promise<void> {
    try {
      const link = await this.#establish(Number.POSITIVE_INFINITY);
      if (this.#closed) await link.nats.close();
      else this.#use(link);
    } catch (error) {
      if (!this.#closed) throw error;
    }
  }

  #tell(connected: boolean): void {
    for (const listener of this.#listeners) listener(connected);
  }

  /** A beat is a PING; its PONG says that the server has read all that was sent before. */
  #beat(link: Link): void {
    const { clock, log } = this.#options;
    let missed = 0;
    let underWay = false;
    const beat = () => {
      if (this.#link !== link) return;
      if (underWay) missed += 1;
      if (missed >= maxMissedBeats) {
        log.warn({ servers: this.servers, missed }, 'NATS does not answer, leaving it');
        void link.nats.close();
        return;
      }
      if (!underWay) {
        underWay = true;
        const sent = link.nats.stats().outBytes;
        const answered = () => {
          underWay = false;
          missed = 0;
          link.confirmedBytes = sent;
        };
        // A rejected flush is a closed connection: `over` tells.
        link.nats.flush().then(answered, () => {});
      }
      clock.after(beatMs, beat);
    };
    beat();
  }

  /** Writes down what the server complains of. */
  async #watch(link: Link): Promise<void> {
    for await (const status of link.nats.status()) {
      if (status.type === 'error') {
        this.#options.log.warn({ complaint: status.data }, 'NATS complains');
      }
    }
  }

  #listen(link: Link, listening: Listening): void {
    const { subject, queue, handle } = listening;
    listening.current = link.nats.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error, message) => {
        if (error !== null) {
          this.#options.log.error({ subject, error }, 'NATS refuses a subscription');
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
  }

  async #drain(listening: Listening): Promise<void> {
    if (!this.#listening.delete(listening)) return;
    const link = this.#link;
    const current = listening.current;
    if (link === undefined || current === undefined || current.isClosed()) return;
    await Promise.race([current.drain(), link.over]);
  }
}

function checkSubject(subject: string): void {
  // A blank would be read as the end of the subject and break the whole connection.
  if (subject === '' || /\s/.test(subject)) {
    throw new BadMessageError(`"${subject}" cannot be a subject`);
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
  const { headers } = message;
  const decoded: Record<string, string> | undefined = headers === undefined ? undefined : {};
  if (headers !== undefined && decoded !== undefined) {
    for (const key of headers.keys()) decoded[key] = headers.get(key);
  }
  return {
    subject: message.subject,
    data: message.data,
    headers: decoded ?? noHeaders,
    ...(message.reply ? { reply: message.reply } : {}),
    status: headers?.code ?? 0,
    statusText: headers?.description ?? '',
  };
}
