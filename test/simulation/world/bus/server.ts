import type { BusMessage, Headers } from '#runtime/bus/bus.ts';
import type { World } from '../life.ts';
import type { Random } from '../random.ts';
import type { Stream } from './stream.ts';

/** How quick and how honest the simulated NATS is; the faults change it while it runs. */
export interface BusWeather {
  /** One way between a client and the server, ms, at most. */
  latencyMs: number;
  /** How often a message is held up, and by how much at most; all behind it on the connection wait. */
  delayChance: number;
  delayMs: number;
  lossChance: number;
  doubleChance: number;
}

export interface Sent {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: Headers;
  readonly reply?: string;
}

/** One subscription as the server knows it. */
export interface Interest {
  readonly link: BusLink;
  readonly subject: string;
  readonly queue: string | undefined;
  readonly hand: (message: BusMessage) => void;
}

/** One connection: in order within itself each way, in no order against the others. */
export class BusLink {
  readonly name: string;
  alive = true;
  readonly #server: BusServer;
  readonly #random: Random;
  #arrivesAt = 0;
  #handedAt = 0;
  /** Whether what was sent before the break still arrives. */
  #arrives = false;

  constructor(server: BusServer, name: string, random: Random) {
    this.#server = server;
    this.name = name;
    this.#random = random;
  }

  cut(): void {
    this.alive = false;
    this.#arrives = this.#random.chance(0.5);
  }

  /** Client to server. */
  send(arrive: () => void): void {
    const { time } = this.#server.world;
    this.#arrivesAt = Math.max(this.#arrivesAt, time.now() + this.#delay());
    time.after(this.#arrivesAt - time.now(), () => {
      if (this.alive || this.#arrives) arrive();
    });
  }

  /** Server to client. */
  hand(take: () => void): void {
    const { time } = this.#server.world;
    this.#handedAt = Math.max(this.#handedAt, time.now() + this.#delay());
    time.after(this.#handedAt - time.now(), () => {
      if (this.alive) take();
    });
  }

  #delay(): number {
    const { latencyMs, delayChance, delayMs } = this.#server.weather;
    const tripMs = this.#random.span(0.02, latencyMs);
    if (!this.#random.chance(delayChance)) return tripMs;
    const heldMs = this.#random.span(0, delayMs);
    this.#server.world.history.note('fault', 'delayed', `${this.name} ${heldMs} ms`);
    return tripMs + heldMs;
  }
}

/** The simulated nats-server: routes core messages, keeps streams. */
export class BusServer {
  readonly world: World;
  readonly weather: BusWeather;
  readonly streams = new Map<string, Stream>();
  readonly #random: Random;
  readonly #inboxes = new Map<string, Interest>();
  readonly #onMessage: ((who: string, sent: Sent) => void)[] = [];
  #interests: readonly Interest[] = [];
  #matches = new Map<string, readonly Interest[]>();

  constructor(world: World, weather: BusWeather) {
    this.world = world;
    this.weather = weather;
    this.#random = world.random.fork('nats');
  }

  /** Hears every message as it reaches the server. */
  onMessage(listener: (who: string, sent: Sent) => void): void {
    this.#onMessage.push(listener);
  }

  add(interest: Interest): void {
    if (!interest.link.alive) return;
    if (interest.subject.startsWith('_INBOX.')) this.#inboxes.set(interest.subject, interest);
    else this.#change([...this.#interests, interest]);
  }

  remove(interest: Interest): void {
    this.#inboxes.delete(interest.subject);
    this.#change(this.#interests.filter((other) => other !== interest));
  }

  /** The server notices that a connection is gone. */
  forget(link: BusLink): void {
    for (const [inbox, interest] of this.#inboxes) {
      if (interest.link === link) this.#inboxes.delete(inbox);
    }
    this.#change(this.#interests.filter((interest) => interest.link !== link));
    for (const stream of this.streams.values()) stream.forget(link);
  }

  /** The server dies before it has flushed: the newest messages of each stream are gone. */
  loseTail(most: number): void {
    for (const stream of this.streams.values()) {
      const lost = stream.loseTail(most);
      if (lost > 0) {
        const what = `${lost} of ${stream.options.name}`;
        this.world.history.note('fault', 'stored message lost', what);
      }
    }
  }

  #change(interests: readonly Interest[]): void {
    this.#interests = interests;
    this.#matches = new Map();
  }

  /** Routes one message; returns to how many it went. */
  route(who: string, sent: Sent): number {
    this.world.history.note(who, 'message', digested(sent), () => show(sent));
    for (const listener of this.#onMessage) listener(who, sent);
    for (const stream of this.streams.values()) {
      if (stream.listensOn(sent.subject)) stream.store(sent);
    }
    const takers = this.#takers(sent.subject);
    for (const taker of takers) this.#hand(taker, sent);
    return takers.length;
  }

  streamOf(subject: string): Stream | undefined {
    return [...this.streams.values()].find((stream) => stream.listensOn(subject));
  }

  #hand(taker: Interest, sent: Sent): void {
    const { lossChance, doubleChance } = this.weather;
    if (this.#random.chance(lossChance)) {
      this.world.history.note('fault', 'lost', `${sent.subject} to ${taker.link.name}`);
      return;
    }
    taker.link.hand(() => taker.hand(sent));
    if (this.#random.chance(doubleChance)) {
      this.world.history.note('fault', 'doubled', `${sent.subject} to ${taker.link.name}`);
      taker.link.hand(() => taker.hand(sent));
    }
  }

  /** Everyone outside a queue group, and one of each group. */
  #takers(subject: string): readonly Interest[] {
    if (subject.startsWith('_INBOX.')) {
      const inbox = this.#inboxes.get(subject.slice(0, subject.lastIndexOf('.')));
      return inbox === undefined ? [] : [inbox];
    }
    const found = this.#matching(subject);
    const groups = Map.groupBy(found, ({ queue }) => queue);
    return [...groups].flatMap(([queue, members]) =>
      queue === undefined ? members : [this.#random.pick(members)],
    );
  }

  #matching(subject: string): readonly Interest[] {
    const known = this.#matches.get(subject);
    if (known !== undefined) return known;
    const found = this.#interests.filter((interest) => matches(interest.subject, subject));
    this.#matches.set(subject, found);
    return found;
  }
}

/** Whether a subject falls under a pattern with `*` and `>`. */
export function matches(pattern: string, subject: string): boolean {
  if (pattern === subject) return true;
  const wanted = pattern.split('.');
  const tokens = subject.split('.');
  for (const [index, token] of wanted.entries()) {
    if (token === '>') return tokens.length > index;
    if (tokens[index] === undefined || (token !== '*' && token !== tokens[index])) return false;
  }
  return wanted.length === tokens.length;
}

function digested(sent: Sent): string {
  const data = Buffer.from(sent.data).toString('latin1');
  return `${sent.subject}|${JSON.stringify(sent.headers)}|${data}`;
}

function show(sent: Sent): string {
  const text = Buffer.from(sent.data).toString('utf8');
  const readable = text.startsWith('{') ? text.slice(0, 300) : printable(text);
  return `${sent.subject} ${readable}`;
}

/** The readable parts of a protobuf message: ids and names, told apart by blanks. */
function printable(text: string): string {
  const words = text.match(/[\x20-\x7e]{4,}/g) ?? [];
  return `<${words.join(' ').slice(0, 300)}>`;
}
