import type { BusMessage, Headers, Subscription } from './bus.ts';

/** A message as the wire gave it, with the server's own status (0: an ordinary message). */
export interface WireMessage extends BusMessage {
  /** 100 heartbeat, 404, 408, 409, 503: words of the server, not of a peer. */
  readonly status: number;
  readonly statusText: string;
}

/** What may ride with a published message. */
export interface Envelope {
  readonly headers?: Headers | undefined;
  /** Where answers go. */
  readonly reply?: string | undefined;
}

/** Core messages over whatever connection stands now; the ground of everything else on the bus. */
export interface Wire {
  readonly connected: boolean;
  /** Host and port of the servers, for people. */
  readonly servers: string;
  /** A subject of our own for answers. */
  newInbox(): string;
  /** Returns false where the message was dropped: the connection is away or takes no more. */
  publish(subject: string, data: Uint8Array, envelope?: Envelope): boolean;
  /** Lasts across reconnects until drained. */
  subscribe(
    subject: string,
    queue: string | undefined,
    handle: (message: WireMessage) => void,
  ): Subscription;
  onConnection(listener: (connected: boolean) => void): () => void;
}
