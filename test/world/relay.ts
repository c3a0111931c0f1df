import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP relay on loopback that makes one client's connection fail in ways a server cannot. */
export interface Relay {
  /** `127.0.0.1:port` */
  readonly address: string;
  /** Nothing passes in either direction; connections stay open, new ones too. */
  hold(): void;
  /** Requests pass, answers do not. */
  holdAnswers(): void;
  /** Everything passes again, also what was held. */
  release(): void;
  /** Breaks all connections that are open now. */
  cut(): void;
  /** Lets so many further bytes of answers pass, then breaks the connection. */
  cutAfterAnswerBytes(bytes: number): void;
  close(): Promise<void>;
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
}

/** Starts a relay to `host:port`. */
export async function startRelay(target: string): Promise<Relay> {
  const [host, port] = target.split(':');
  const links = new Set<Link>();
  let holding: 'nothing' | 'answers' | 'all' = 'nothing';
  let answerBytesLeft = Number.POSITIVE_INFINITY;
  const apply = (link: Link): void => {
    if (holding === 'all') link.client.pause();
    else link.client.resume();
    if (holding === 'nothing') link.server.resume();
    else link.server.pause();
  };
  const cut = (): void => {
    for (const { client, server } of links) {
      client.destroy();
      server.destroy();
    }
    links.clear();
  };
  const listener = createServer((client) => {
    const link = { client, server: connect(Number(port), host) };
    links.add(link);
    const end = (): void => {
      links.delete(link);
      client.destroy();
      link.server.destroy();
    };
    client.on('data', (bytes) => link.server.write(bytes));
    link.server.on('data', (bytes) => {
      client.write(bytes.subarray(0, answerBytesLeft));
      answerBytesLeft -= bytes.length;
      if (answerBytesLeft > 0) return;
      answerBytesLeft = Number.POSITIVE_INFINITY;
      client.end();
      link.server.destroy();
    });
    for (const socket of [client, link.server]) socket.on('error', end).on('close', end);
    apply(link);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const set = (what: typeof holding): void => {
    holding = what;
    links.forEach(apply);
  };
  return {
    address: `127.0.0.1:${(listener.address() as AddressInfo).port}`,
    hold: () => set('all'),
    holdAnswers: () => set('answers'),
    release: () => set('nothing'),
    cut,
    cutAfterAnswerBytes: (bytes) => {
      answerBytesLeft = bytes;
    },
    close: async () => {
      cut();
      listener.close();
      await once(listener, 'close');
    },
  };
}
