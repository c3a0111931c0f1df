import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP relay on loopback that makes one client's connection fail in ways a server cannot. */
export interface Relay {
  /** `127.0.0.1:port` */
  readonly address: string;
  /** Bytes that were thrown away so far. */
  readonly lost: number;
  /** Nothing passes in either direction; connections stay open, new ones too. */
  hold(): void;
  /** Requests pass, answers do not. */
  holdAnswers(): void;
  /** What comes is read and thrown away; connections stay open, new ones are taken. */
  swallow(): void;
  /** Everything passes so much later, in its order. */
  delay(ms: number): void;
  /** Breaks all connections, and each new one at once. */
  refuse(): void;
  /** Everything passes again, also what was held; connections that have lost bytes break. */
  release(): void;
  /** Breaks all connections that are open now. */
  cut(): void;
  /** Lets so many further bytes of answers pass, then breaks the connection. */
  cutAfterAnswerBytes(bytes: number): void;
  close(): Promise<void>;
}

type Mode = 'open' | 'hold' | 'hold answers' | 'swallow' | 'refuse';

/** One connection through the relay: a socket on each side, and whether bytes of it were thrown away. */
interface Link {
  readonly client: Socket;
  readonly server: Socket;
  lossy: boolean;
}

/** Starts a relay to `host:port`. */
export async function startRelay(target: string): Promise<Relay> {
  const [host, port] = target.split(':');
  const links = new Set<Link>();
  let mode: Mode = 'open';
  let delayMs = 0;
  let answerBytesLeft = Number.POSITIVE_INFINITY;
  let lost = 0;
  const apply = (link: Link): void => {
    if (mode === 'hold') link.client.pause();
    else link.client.resume();
    if (mode === 'hold' || mode === 'hold answers') link.server.pause();
    else link.server.resume();
  };
  const end = (link: Link): void => {
    links.delete(link);
    link.client.destroy();
    link.server.destroy();
  };
  const cut = (): void => {
    for (const link of [...links]) end(link);
  };
  const answered = (link: Link, bytes: Buffer): void => {
    link.client.write(bytes.subarray(0, answerBytesLeft));
    answerBytesLeft -= bytes.length;
    if (answerBytesLeft > 0) return;
    answerBytesLeft = Number.POSITIVE_INFINITY;
    link.client.end();
    link.server.destroy();
  };
  const listener = createServer((client) => {
    if (mode === 'refuse') {
      client.on('error', () => undefined).destroy();
      return;
    }
    const link: Link = { client, server: connect(Number(port), host), lossy: false };
    links.add(link);
    const pass = (queue: Later, bytes: Buffer): void => {
      if (mode !== 'swallow') {
        queue.put(bytes, delayMs);
        return;
      }
      link.lossy = true;
      lost += bytes.length;
    };
    const requests = new Later((bytes) => link.server.write(bytes));
    const answers = new Later((bytes) => answered(link, bytes));
    client.on('data', (bytes) => pass(requests, bytes));
    link.server.on('data', (bytes) => pass(answers, bytes));
    for (const socket of [client, link.server]) {
      socket.on('error', () => end(link)).on('close', () => end(link));
    }
    apply(link);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const set = (next: Mode): void => {
    mode = next;
    delayMs = 0;
    for (const link of [...links]) {
      if (mode === 'refuse' || (mode !== 'swallow' && link.lossy)) end(link);
      else apply(link);
    }
  };
  return {
    address: `127.0.0.1:${(listener.address() as AddressInfo).port}`,
    get lost() {
      return lost;
    },
    hold: () => set('hold'),
    holdAnswers: () => set('hold answers'),
    swallow: () => set('swallow'),
    delay: (ms) => {
      set('open');
      delayMs = ms;
    },
    refuse: () => set('refuse'),
    release: () => set('open'),
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

/** Hands bytes on at their time, never out of order. */
class Later {
  readonly #hand: (bytes: Buffer) => void;
  readonly #waiting: { readonly bytes: Buffer; readonly at: number }[] = [];

  constructor(hand: (bytes: Buffer) => void) {
    this.#hand = hand;
  }

  put(bytes: Buffer, delayMs: number): void {
    if (delayMs === 0 && this.#waiting.length === 0) {
      this.#hand(bytes);
      return;
    }
    this.#waiting.push({ bytes, at: performance.now() + delayMs });
    if (this.#waiting.length === 1) this.#wake();
  }

  #wake(): void {
    const first = this.#waiting[0];
    if (first === undefined) return;
    setTimeout(
      () => {
        this.#waiting.shift();
        this.#hand(first.bytes);
        this.#wake();
      },
      Math.max(0, first.at - performance.now()),
    );
  }
}
