import type { Socket } from 'node:net';
import { type Client, createClient, Exception, type State } from 'node-zookeeper-client';
import { zooKeeperError } from './codes.ts';
import type { ServerAddress } from './servers.ts';

/** What a connection tells whoever drives it. */
export interface ConnectionEvents {
  /** The client's own state changed. */
  state(state: State): void;
  /** A connection to a server is being tried. */
  attempt(server: ServerAddress): void;
  /** Bytes came from a server. */
  heard(): void;
  /** A socket failed, or an answer could not be understood. */
  fault(error: Error): void;
}

/** A client of the npm package with its faults mended where they sit; it serves one session. */
export interface Connection {
  readonly client: Client;
  connect(): void;
  /** Cuts the present socket: calls under way fail, the next server is tried. */
  cut(): void;
  /** Cuts the socket for good: nothing is tried and nothing is told any more. */
  abandon(): void;
}

/** The parts of the client that are not public and have to be reached to mend it. */
interface Inside {
  readonly connectionManager: {
    socket?: Socket;
    servers: readonly ServerAddress[];
    connectTimeoutHandler: NodeJS.Timeout | null;
    pendingBuffer: Buffer | null;
    readonly packetQueue: { readonly queue: { callback(error: Error): void }[] };
    readonly watcherManager: { isEmpty(): boolean };
    findNextServer(callback: (server: ServerAddress) => void): void;
    onSocketClosed(failed: boolean): void;
    onSocketError(error: Error): void;
    onSocketData(bytes: Buffer): void;
  };
}

/** Builds the client without connecting it. */
export function openConnection(
  servers: readonly ServerAddress[],
  sessionTimeoutMs: number,
  auth: { readonly scheme: string; readonly credential: string } | undefined,
  events: ConnectionEvents,
): Connection {
  const client = createClient('unused:1', {
    sessionTimeout: sessionTimeoutMs,
    // Between two rounds over all servers; drawn at random below this.
    spinDelay: Math.min(500, sessionTimeoutMs / 6),
    // A retried sequential create over a lost connection makes two nodes.
    retries: 0,
  });
  const inside = (client as unknown as Inside).connectionManager;
  // The package cannot read IPv6 addresses, so it is given the list that we have read.
  inside.servers = shuffled(servers);
  let abandoned = false;
  mend(inside, {
    heard: () => !abandoned && events.heard(),
    attempt: (server) => !abandoned && events.attempt(server),
    fault: (error) => !abandoned && events.fault(error),
    stopped: () => abandoned,
  });
  client.on('state', (state) => {
    if (!abandoned) events.state(state);
  });
  if (auth) client.addAuthInfo(auth.scheme, Buffer.from(auth.credential));
  return {
    client,
    connect: () => client.connect(),
    cut: () => inside.socket?.destroy(),
    abandon: () => {
      abandoned = true;
      inside.socket?.destroy();
    },
  };
}

/** Replaces listeners on this one object; the package looks them up by name at each connection. */
function mend(
  inside: Inside['connectionManager'],
  events: Omit<ConnectionEvents, 'state'> & { stopped(): boolean },
): void {
  const { findNextServer, onSocketClosed, onSocketError, onSocketData } = inside;
  // All watches in one packet would pass the server's limit from about 20,000 on, and the server
  // would cut every new connection. The watches are set again one by one instead (watches.ts).
  inside.watcherManager.isEmpty = () => true;
  inside.findNextServer = (callback) => {
    if (events.stopped()) return;
    findNextServer.call(inside, (server) => {
      if (events.stopped()) return;
      events.attempt(server);
      callback(server);
    });
  };
  inside.onSocketError = (error) => {
    onSocketError.call(inside, error);
    events.fault(error);
  };
  inside.onSocketClosed = (failed) => {
    // Left running, this timer would cut the next connection, which may be a good one.
    if (inside.connectTimeoutHandler) clearTimeout(inside.connectTimeoutHandler);
    // The rest of a broken answer would be read as the beginning of the next server's.
    inside.pendingBuffer = null;
    // Calls not yet written would be sent after the reconnect, however late.
    const unsent = inside.packetQueue.queue.splice(0);
    const lost = zooKeeperError(Exception.CONNECTION_LOSS);
    for (const packet of unsent) packet.callback(lost);
    onSocketClosed.call(inside, failed);
  };
  inside.onSocketData = (bytes) => {
    events.heard();
    try {
      onSocketData.call(inside, bytes);
    } catch (error) {
      events.fault(error instanceof Error ? error : new Error(String(error)));
      inside.socket?.destroy();
    }
  };
}

/** Copies spread over the servers, as every ZooKeeper client does. */
function shuffled(servers: readonly ServerAddress[]): ServerAddress[] {
  const order = servers.map((server) => ({ server, at: Math.random() }));
  return order.sort((a, b) => a.at - b.at).map(({ server }) => server);
}
