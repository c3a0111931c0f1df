import { createInbox } from 'nats';
import { type Clock, sleep } from '../clock.ts';
import { BadMessageError, BusUnavailableError, DreyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Subscription } from './bus.ts';
import {
  type Credentials,
  dial,
  isRefusedLogin,
  parseServer,
  type ServerAddress,
  showServer,
} from './dial.ts';
import { type Interest, Link } from './link.ts';
import type { Envelope, Wire, WireMessage } from './wire.ts';

export interface ConnectionOptions {
  /** Tried in turn. */
  readonly servers: readonly string[];
  /** Shown by the server's monitoring. */
  readonly name: string;
  readonly credentials?: Credentials | undefined;
  /** How every inbox begins; `_INBOX` unless said. */
  readonly inbox?: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** How long the first connection may take; default 30 s. */
  readonly connectTimeoutMs?: number | undefined;
  /** In [0, 1): spreads reconnects of many processes. */
  readonly random?: (() => number) | undefined;
}

const firstPauseMs = 100;
const longestPauseMs = 2000;
/** Addresses that servers tell of beyond this many are not remembered. */
const maxKnown = 100;

interface Listening extends Interest {
  /** Ends it on the present link. */
  end: () => Promise<void>;
}

async function nothingToEnd(): Promise<void> {}

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
  #pauseMs = firstPauseMs;

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
    const link = await connection.#establish(options.clock.elapsed() + timeoutMs);
    connection.#use(link);
    return connection;
  }

  get connected(): boolean {
    return this.#link !== undefined;
  }

  newInbox(): string {
    return createInbox(this.#options.inbox);
  }

  publish(subject: string, data: Uint8Array, envelope: Envelope = {}): boolean {
    checkSubject(subject);
    return this.#link?.publish(subject, data, envelope) ?? false;
  }

  subscribe(
    subject: string,
    queue: string | undefined,
    handle: (message: WireMessage) => void,
  ): Subscription {
    checkSubject(subject);
    const listening: Listening = { subject, queue, handle, end: nothingToEnd };
    this.#listening.add(listening);
    if (this.#link !== undefined) listening.end = this.#link.listen(listening);
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
    await link?.close();
  }

  /** Tries the servers in turn until one lets us in. */
  async #establish(deadline: number): Promise<Link> {
    const { clock, log, name, credentials } = this.#options;
    while (!this.#closed) {
      const server = this.#nextServer();
      const where = showServer(server);
      try {
        const nats = await dial(server, name, credentials ?? {});
        log.info({ server: where, version: nats.info?.version }, 'connected to NATS');
        const link = new Link(nats, clock, log);
        this.#learn(link.neighbours);
        return link;
      } catch (error) {
        const last = clock.elapsed() + this.#pauseMs >= deadline;
        if (last || (isRefusedLogin(error) && Number.isFinite(deadline))) {
          const why = error instanceof Error ? error.message : String(error);
          const text = `no NATS server at ${this.servers} lets us in (last: ${where}: ${why})`;
          throw new BusUnavailableError(text, { cause: error });
        }
        log.debug({ server: where, error }, 'NATS cannot be reached, trying again');
      }
      await this.#pause();
    }
    throw new BusUnavailableError('closed');
  }

  /** Half to one and a half of the pause: processes that lost the same server come back spread. */
  async #pause(): Promise<void> {
    const { clock, random = Math.random } = this.#options;
    await sleep(clock, this.#pauseMs * (0.5 + random()));
    this.#pauseMs = Math.min(this.#pauseMs * 2, longestPauseMs);
  }

  #nextServer(): ServerAddress {
    const server = this.#known[this.#next % this.#known.length];
    this.#next += 1;
    if (server === undefined) throw new RangeError('no NATS server is named');
    return server;
  }

  /** Members of a cluster tell of each other; they take the same credentials as the first. */
  #learn(addresses: readonly string[]): void {
    for (const address of addresses) {
      const parsed = this.#parseTold(address);
      if (parsed === undefined) continue;
      const { host, port, ...plain } = parsed;
      const told = { ...plain, ...this.#known[0], host, port };
      const known = this.#known.some((server) => showServer(server) === showServer(told));
      if (!known && this.#known.length < maxKnown) this.#known.push(told);
    }
  }

  /** One address that is not understood does not cost the link that told it. */
  #parseTold(address: string): ServerAddress | undefined {
    try {
      return parseServer(address);
    } catch (error) {
      if (!(error instanceof DreyError)) throw error;
      this.#options.log.warn({ address }, 'NATS tells of a server at no address that drey knows');
      return undefined;
    }
  }

  #use(link: Link): void {
    for (const listening of this.#listening) listening.end = link.listen(listening);
    this.#link = link;
    this.#tell(true);
    void link.over.then(() => this.#lost(link));
  }

  #lost(link: Link): void {
    if (this.#link !== link) return;
    this.#link = undefined;
    for (const listening of this.#listening) listening.end = nothingToEnd;
    if (!this.#closed) this.#options.log.warn({ servers: this.servers }, 'lost NATS');
    this.#tell(false);
    if (!this.#closed) void this.#regain(link);
  }

  async #regain(lost: Link): Promise<void> {
    try {
      if (lost.proven) this.#pauseMs = firstPauseMs;
      // A server that lets in and drops would else be dialled without end.
      else await this.#pause();
      const link = await this.#establish(Number.POSITIVE_INFINITY);
      if (this.#closed) await link.close();
      else this.#use(link);
    } catch (error) {
      if (!this.#closed) throw error;
    }
  }

  #tell(connected: boolean): void {
    for (const listener of this.#listeners) listener(connected);
  }

  async #drain(listening: Listening): Promise<void> {
    if (this.#listening.delete(listening)) await listening.end();
  }
}

function checkSubject(subject: string): void {
  // A blank would be read as the end of the subject and break the whole connection.
  if (subject === '' || /\s/.test(subject)) {
    throw new BadMessageError(`"${subject}" cannot be a subject`);
  }
}
