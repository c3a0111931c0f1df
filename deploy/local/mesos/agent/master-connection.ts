import { request as httpRequest } from 'node:http';
import type { Duplex } from 'node:stream';
import type { AgentMessage, MasterMessage } from '../core/protocol.ts';
import { Link } from '../link.ts';

const firstReconnectMs = 50;
const longestReconnectMs = 1_000;
const connectTimeoutMs = 5_000;

/** Where the leading master is now, asked before each connection; undefined: nobody knows. */
export type MasterAddress = () => Promise<
  { readonly host: string; readonly port: number } | undefined
>;

/** What an agent makes of its connection. */
export interface MasterHandlers {
  readonly connected: () => void;
  readonly heard: (message: MasterMessage) => void;
  readonly disconnected: () => void;
}

/** An agent's connection to whichever master leads, made again for as long as it takes. */
export class MasterConnection {
  readonly #master: MasterAddress;
  readonly #handlers: MasterHandlers;
  #link: Link<AgentMessage, MasterMessage> | undefined;
  #reconnectMs = firstReconnectMs;
  #stopping = false;

  constructor(master: MasterAddress, handlers: MasterHandlers) {
    this.#master = master;
    this.#handlers = handlers;
  }

  open(): void {
    void this.#connect();
  }

  /** Lost where there is no master: the agent's core says again what matters. */
  say(message: AgentMessage): void {
    this.#link?.say(message);
  }

  /** No further connection is made from now on. */
  stop(): void {
    this.#stopping = true;
  }

  /** Ends the connection for good. */
  end(): void {
    this.stop();
    this.#link?.end();
  }

  async #connect(): Promise<void> {
    // Where the master is told from there may be nobody either: that is like no master.
    const address = await this.#master().catch(() => undefined);
    if (this.#stopping) return;
    if (address === undefined) {
      this.#connectLater();
      return;
    }
    const headers = { Connection: 'Upgrade', Upgrade: 'drey-agent' };
    const request = httpRequest({ ...address, path: '/local/agent', headers });
    request.setTimeout(connectTimeoutMs, () => request.destroy());
    let upgraded = false;
    request.on('upgrade', (_, socket, head) => {
      upgraded = true;
      socket.setTimeout(0);
      if (head.length > 0) socket.unshift(head);
      this.#open(socket);
    });
    // No master yet, or one that does not lead: asked again, for as long as it takes.
    request.on('error', () => request.destroy());
    request.on('response', (response) => response.resume());
    request.on('close', () => {
      if (!upgraded) this.#connectLater();
    });
    request.end();
  }

  #open(socket: Duplex): void {
    this.#reconnectMs = firstReconnectMs;
    const link = new Link<AgentMessage, MasterMessage>(socket, {
      heard: (message) => this.#handlers.heard(message),
      closed: () => this.#disconnected(link),
    });
    this.#link = link;
    this.#handlers.connected();
  }

  #disconnected(link: Link<AgentMessage, MasterMessage>): void {
    if (this.#link !== link) return;
    this.#link = undefined;
    this.#handlers.disconnected();
    this.#connectLater();
  }

  #connectLater(): void {
    if (this.#stopping) return;
    const delayMs = this.#reconnectMs;
    this.#reconnectMs = Math.min(longestReconnectMs, 2 * delayMs);
    setTimeout(() => void this.#connect(), delayMs);
  }
}
