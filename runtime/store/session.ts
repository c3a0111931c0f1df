import { State } from 'node-zookeeper-client';
import type { Clock, Timer } from '../clock.ts';
import { StoreRefusedError, StoreUnavailableError } from '../errors.ts';
import { Calls, type Send } from './calls.ts';
import { type Connection, openConnection } from './client.ts';
import { type CallFacts, isAnswer } from './outcomes.ts';
import type { ServerAddress } from './servers.ts';
import type { SessionState } from './store.ts';

/** Where the store says what happens to its connection; a pino logger fits. */
export interface StoreLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
}

export interface SessionOptions {
  readonly servers: readonly ServerAddress[];
  readonly sessionTimeoutMs: number;
  readonly auth?: { readonly scheme: string; readonly credential: string } | undefined;
  readonly clock: Clock;
  readonly log?: StoreLog | undefined;
}

/** Each asks the server for a sign of life. */
const beatsPerSession = 12;
/** The first of them may have come right after an answer: at most 2/3 of the session, at least 7/12. */
const silentBeatsOfSession = 8;
/** A healthy server answers a handshake far sooner, however long the session is. */
const longestHandshakeMs = 10_000;

/**
 * One ZooKeeper session after another: connects, asks a heartbeat, cuts connections that fell
 * silent, builds a new client after expiry, and lets calls pass only while connected.
 */
export class Session {
  readonly #options: SessionOptions;
  readonly #listeners = new Set<(state: SessionState) => void>();
  readonly #calls: Calls;
  #connection: Connection | undefined;
  #state: SessionState = 'suspended';
  #closed = false;
  #beating = false;
  #timer: Timer | undefined;
  #agreedMs: number;
  #lastContact: number;
  /** Beats since bytes last came or the present attempt to connect began. */
  #silentBeats = 0;
  #lastFault: Error | undefined;
  #refusal: StoreRefusedError | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#agreedMs = options.sessionTimeoutMs;
    this.#calls = new Calls(options.clock, (sentAt) => this.#contact(sentAt));
    this.#lastContact = options.clock.elapsed();
  }

  get state(): SessionState {
    return this.#state;
  }

  get timeoutMs(): number {
    return this.#agreedMs;
  }

  get lastContact(): number {
    return this.#lastContact;
  }

  /** The last thing that went wrong while connecting. */
  get lastFault(): Error | undefined {
    return this.#lastFault;
  }

  /** Set once the servers have refused the credential. */
  get refusal(): StoreRefusedError | undefined {
    return this.#refusal;
  }

  /** The servers as they are named in messages. */
  get serverNames(): string {
    return this.#options.servers.map(({ host, port }) => `${host}:${port}`).join(',');
  }

  onState(listener: (state: SessionState) => void): () => void {
    // Each call of this method stands for itself, even with the same listener twice.
    const entry = (state: SessionState): void => listener(state);
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  start(): void {
    this.#open();
    this.#arm();
  }

  /** Sends one call now or refuses it; it is never queued and never repeated. */
  call<T>(facts: CallFacts, send: Send<T>): Promise<T> {
    const client = this.#state === 'connected' ? this.#connection?.client : undefined;
    if (client) return this.#calls.send(client, facts, this.#agreedMs, send);
    const why = this.#closed ? 'the store is closed' : `no connection to ${this.serverNames}`;
    return Promise.reject(
      new StoreUnavailableError(`${facts.verb} ${facts.path}: not sent, ${why}`),
    );
  }

  /** Ends the session, so that its ephemeral nodes vanish at once if a server can be told. */
  async close(): Promise<void> {
    if (this.#closed) return;
    const connected = this.#state === 'connected';
    this.#closed = true;
    this.#timer?.cancel();
    this.#become('expired');
    const connection = this.#connection;
    if (connected && connection) await this.#sayGoodbye(connection);
    connection?.abandon();
    this.#calls.failAll('the store was closed');
  }

  #sayGoodbye(connection: Connection): Promise<void> {
    return new Promise((resolve) => {
      const patience = this.#options.clock.after(this.#agreedMs / 3, resolve);
      connection.client.once('disconnected', () => {
        patience.cancel();
        resolve();
      });
      connection.client.close();
    });
  }

  #open(): void {
    const { servers, sessionTimeoutMs, auth } = this.#options;
    this.#silentBeats = 0;
    this.#beating = false;
    const connection = openConnection(servers, sessionTimeoutMs, auth, {
      state: (state) => this.#onClientState(connection, state),
      attempt: () => {
        this.#silentBeats = 0;
      },
      heard: () => {
        this.#silentBeats = 0;
      },
      fault: (error) => {
        this.#lastFault = error;
      },
    });
    this.#connection = connection;
    connection.connect();
  }

  #onClientState(connection: Connection, state: State): void {
    if (this.#closed) return;
    if (state === State.SYNC_CONNECTED) this.#probe(connection);
    else if (state === State.EXPIRED) this.#rebuild(connection);
    else if (state === State.AUTH_FAILED) this.#onRefused(connection);
    else if (this.#state === 'connected') this.#become('suspended');
  }

  /** Connected means that a call was answered: only then are credential and session known to be good. */
  #probe(connection: Connection): void {
    const sentAt = this.#options.clock.elapsed();
    connection.client.exists('/', (error) => {
      if (this.#closed || connection !== this.#connection) return;
      if (error && !isAnswer(error)) return;
      this.#agreedMs = connection.client.getSessionTimeout();
      this.#contact(sentAt);
      this.#beating = false;
      this.#become('connected');
    });
  }

  #rebuild(connection: Connection): void {
    connection.abandon();
    this.#become('expired');
    this.#open();
  }

  #onRefused(connection: Connection): void {
    const scheme = this.#options.auth?.scheme;
    this.#refusal = new StoreRefusedError(`ZooKeeper refused the ${scheme} credential`);
    this.#options.log?.warn({ servers: this.serverNames }, this.#refusal.message);
    connection.abandon();
    this.#become('expired');
    this.#options.clock.after(this.#agreedMs / 3, () => {
      if (!this.#closed) this.#open();
    });
  }

  #become(state: SessionState): void {
    if (this.#state === state) return;
    this.#state = state;
    const facts = { servers: this.serverNames, sessionTimeoutMs: this.#agreedMs };
    if (state === 'connected') this.#options.log?.info(facts, 'connected to ZooKeeper');
    else if (!this.#closed) {
      const cause = { ...facts, cause: this.#lastFault?.message };
      this.#options.log?.warn(cause, `the ZooKeeper session is ${state}`);
    }
    // What a listener throws must not reach the package, which is in the middle of a packet.
    for (const listener of [...this.#listeners]) queueMicrotask(() => listener(state));
  }

  #contact(sentAt: number): void {
    // From the question, not the answer: a lease must not be counted longer than the server does.
    if (sentAt > this.#lastContact) this.#lastContact = sentAt;
  }

  #arm(): void {
    this.#timer = this.#options.clock.after(this.#beatMs, () => this.#beat());
  }

  /**
   * Silence is counted in beats, not by the clock: after a blocked event loop much time has passed,
   * but the answers that wait in the socket have not been looked at.
   */
  #beat(): void {
    if (this.#closed) return;
    this.#calls.failOverdue();
    this.#silentBeats += 1;
    if (this.#silentBeats >= this.#mostSilentBeats) this.#cut();
    else if (this.#state === 'connected' && !this.#beating) this.#ask();
    this.#arm();
  }

  #ask(): void {
    this.#beating = true;
    // How it ends does not matter here: what counts is whether bytes came.
    const beaten = (): void => {
      this.#beating = false;
    };
    this.call<unknown>({ kind: 'read', verb: 'heartbeat', path: '/' }, (client, done) =>
      client.exists('/', done),
    ).then(beaten, beaten);
  }

  #cut(): void {
    const silentMs = Math.round(this.#silentBeats * this.#beatMs);
    const servers = this.serverNames;
    this.#options.log?.warn({ servers, silentMs }, 'ZooKeeper fell silent');
    this.#lastFault = new Error(`no answer for ${silentMs} ms`);
    this.#silentBeats = 0;
    if (this.#state === 'connected') this.#become('suspended');
    this.#connection?.cut();
  }

  get #beatMs(): number {
    return this.#agreedMs / beatsPerSession;
  }

  /** While connecting, all servers of the list are to be tried within one session where that is possible. */
  get #mostSilentBeats(): number {
    if (this.#state === 'connected') return silentBeatsOfSession;
    const share = Math.max(2 / 3 / this.#options.servers.length, 1 / 3) * this.#agreedMs;
    return Math.ceil(Math.min(share, longestHandshakeMs) / this.#beatMs);
  }
}
