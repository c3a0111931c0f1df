import type {
  Bus,
  BusMessage,
  Endpoint,
  Headers,
  ServiceOptions,
  StreamMessage,
  StreamOptions,
  Subscription,
} from '#runtime/bus/bus.ts';
import type { Timer } from '#runtime/clock.ts';
import {
  BusUnavailableError,
  DreyError,
  NoResponderError,
  RequestTimeoutError,
} from '#runtime/errors.ts';
import { type Life, never } from '../life.ts';
import type { Random } from '../random.ts';
import { BusLink, type BusServer, type Interest, type Sent } from './server.ts';
import { Stream } from './stream.ts';

const appendTimeoutMs = 5000;
/** A stream that is not there yet is looked for again after so long. */
const lookAgainMs = 250;

/** The status of the service protocol by the remedy of an error, as `runtime/bus/micro.ts` tells it. */
const statusOf = { retry: '503', reread: '409', 'give-up': '400' } as const;

interface Waiting {
  readonly subject: string;
  readonly resolve: (message: BusMessage) => void;
  readonly reject: (error: Error) => void;
  readonly timer: Timer;
}

/** What is told to the server again after each reconnect. */
type Standing = (link: BusLink) => void;

/** The bus as one process sees it: one connection, one inbox, everything said again on reconnect. */
export class SimBus implements Bus {
  readonly #server: BusServer;
  readonly #life: Life;
  readonly #random: Random;
  readonly #inbox: string;
  readonly #waiting = new Map<number, Waiting>();
  readonly #standing = new Set<Standing>();
  readonly #listeners = new Set<(connected: boolean) => void>();
  #link: BusLink;
  #requests = 0;
  #closed = false;

  constructor(server: BusServer, life: Life) {
    this.#server = server;
    this.#life = life;
    this.#random = life.random.fork('bus');
    this.#inbox = `_INBOX.${life.name}`;
    this.#link = new BusLink(server, life.name, this.#random.fork('link'));
    life.onDeath(() => this.#break(this.#random.span(0, 3)));
  }

  get connected(): boolean {
    return this.#link.alive && !this.#closed;
  }

  onConnection(listener: (connected: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  publish(subject: string, data: Uint8Array, headers: Headers = {}): boolean {
    return this.#send(`publish ${subject}`, { subject, data, headers }) !== undefined;
  }

  request(
    subject: string,
    data: Uint8Array,
    options: { readonly timeoutMs: number; readonly headers?: Headers },
  ): Promise<BusMessage> {
    return this.#ask(`request ${subject}`, subject, options.timeoutMs, (reply) => {
      const sent: Sent = { subject, data, headers: options.headers ?? {}, reply };
      const link = this.#link;
      link.send(() => {
        if (this.#server.route(this.#life.name, sent) > 0) return;
        link.hand(() => this.#life.deliver(() => this.#nobody(reply)));
      });
    });
  }

  async append(subject: string, data: Uint8Array, headers: Headers = {}): Promise<number> {
    const answer = await this.#ask(`append ${subject}`, subject, appendTimeoutMs, (reply) => {
      const link = this.#link;
      link.send(() => {
        const stream = this.#server.streamOf(subject);
        this.#server.route(this.#life.name, { subject, data, headers });
        if (stream === undefined) link.hand(() => this.#life.deliver(() => this.#nobody(reply)));
        else this.#receipt(link, reply, stream.last);
      });
    });
    return Number(new TextDecoder().decode(answer.data));
  }

  #receipt(link: BusLink, reply: string, sequence: number): void {
    if (this.#random.chance(this.#server.weather.lossChance)) return;
    const data = new TextEncoder().encode(String(sequence));
    const message: BusMessage = { subject: reply, data, headers: {} };
    link.hand(() => this.#life.deliver(() => this.#answered(message)));
  }

  subscribe(
    subject: string,
    queue: string | undefined,
    handle: (message: BusMessage) => void,
  ): Subscription {
    let interest: Interest | undefined;
    const hand = (message: BusMessage) => this.#life.deliver(() => handle(message));
    const standing: Standing = (link) => {
      interest = { link, subject, queue, hand };
      const added = interest;
      link.send(() => this.#server.add(added));
    };
    this.#stand(standing);
    return this.#until(standing, () => interest && this.#server.remove(interest));
  }

  async ensureStream(options: StreamOptions): Promise<void> {
    if (!this.connected) throw new BusUnavailableError('NATS is away');
    await this.#roundTrip(() => {
      if (!this.#server.streams.has(options.name)) {
        this.#server.streams.set(options.name, new Stream(this.#server, options));
      }
    });
  }

  async consume(
    stream: string,
    durable: string,
    options: { readonly maxPending: number; readonly ackWaitMs: number },
    handle: (message: StreamMessage) => void,
  ): Promise<Subscription> {
    let leave: () => void = () => undefined;
    let standing: Standing = () => undefined;
    const take = (message: StreamMessage) => this.#life.deliver(() => handle(this.#own(message)));
    await new Promise<void>((resolve) => {
      const join = (link: BusLink): void => {
        const found = this.#server.streams.get(stream);
        if (!link.alive) return;
        if (found === undefined) {
          this.#server.world.time.after(lookAgainMs, () => link.send(() => join(link)));
          return;
        }
        leave = found.join(durable, options, { link, handle: take });
        link.hand(() => this.#life.deliver(resolve));
      };
      standing = (link) => link.send(() => join(link));
      this.#stand(standing);
    });
    return this.#until(standing, () => leave());
  }

  /** Acknowledging is an effect of this process: it may die before or after it. */
  #own(message: StreamMessage): StreamMessage {
    return {
      ...message,
      ack: () => {
        this.#life.effect(`ack ${message.subject}`, () => message.ack());
      },
      nak: (delayMs) => {
        this.#life.effect(`nak ${message.subject}`, () => message.nak(delayMs));
      },
    };
  }

  async replay(
    stream: string,
    filter: string,
    count: number,
    handle: (message: BusMessage) => void,
  ): Promise<Subscription> {
    let wanted = count;
    const standing: Standing = (link) =>
      link.send(() => {
        const hand = (sent: Sent) => this.#life.deliver(() => handle(sent));
        if (!link.alive) return;
        this.#server.streams.get(stream)?.tail({ link, filter, hand }, wanted);
        wanted = 0;
      });
    this.#stand(standing);
    return this.#until(standing, () => undefined);
  }

  async serve(options: ServiceOptions): Promise<Subscription> {
    const parts = options.endpoints.map((endpoint) =>
      this.subscribe(endpoint.subject, options.queue, (message) => {
        void this.#serveOne(endpoint, message);
      }),
    );
    return {
      drain: async () => {
        await Promise.all(parts.map((part) => part.drain()));
      },
    };
  }

  async #serveOne(endpoint: Endpoint, message: BusMessage): Promise<void> {
    if (message.reply === undefined) return;
    try {
      const answer = await endpoint.handle(message);
      if (answer !== undefined) this.publish(message.reply, answer);
    } catch (error) {
      if (!(error instanceof DreyError)) throw error;
      const headers = {
        'Nats-Service-Error': `${error.code}: ${error.message}`,
        'Nats-Service-Error-Code': statusOf[error.remedy],
      };
      this.publish(message.reply, new Uint8Array(), headers);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#break(0);
  }

  /** Cuts the connection for so long; what was under way may be lost. */
  cut(durationMs: number): void {
    if (!this.connected || !this.#life.alive) return;
    this.#life.world.history.note('fault', 'bus cut', `${this.#life.name} ${durationMs} ms`);
    this.#break(this.#random.span(0, 3));
    this.#life.deliver(() => {
      this.#tell(false);
      this.#giveUp();
    });
    this.#life.world.time.after(durationMs, () => this.#reconnect());
  }

  #break(noticeMs: number): void {
    const link = this.#link;
    link.cut();
    this.#life.world.time.after(noticeMs, () => this.#server.forget(link));
  }

  /** Nobody answers any more what was asked over the connection that broke. */
  #giveUp(): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { subject, reject, timer } of waiting) {
      timer.cancel();
      reject(new RequestTimeoutError(subject, 0));
    }
  }

  #reconnect(): void {
    if (!this.#life.alive || this.#closed) return;
    this.#link = new BusLink(this.#server, this.#life.name, this.#random.fork('link again'));
    for (const standing of this.#standing) standing(this.#link);
    this.#listenOnInbox();
    this.#life.deliver(() => this.#tell(true));
  }

  #tell(connected: boolean): void {
    for (const listener of [...this.#listeners]) listener(connected);
  }

  #send(name: string, sent: Sent): boolean | undefined {
    return this.#life.effect(name, () => {
      if (!this.connected) return undefined;
      this.#link.send(() => this.#server.route(this.#life.name, sent));
      return true;
    });
  }

  #stand(standing: Standing): void {
    this.#standing.add(standing);
    if (this.connected) standing(this.#link);
  }

  #until(standing: Standing, end: () => void): Subscription {
    return {
      drain: async () => {
        this.#standing.delete(standing);
        await this.#roundTrip(end);
      },
    };
  }

  /** Does something at the server; resolves when everything that it sent before has been handed over. */
  #roundTrip(action: () => void): Promise<void> {
    return new Promise((resolve) => {
      const link = this.#link;
      if (!link.alive) {
        resolve();
        return;
      }
      link.send(() => {
        action();
        link.hand(() => this.#life.deliver(resolve));
      });
    });
  }

  #ask(
    name: string,
    subject: string,
    timeoutMs: number,
    send: (reply: string) => void,
  ): Promise<BusMessage> {
    const answer = this.#life.effect(name, () => {
      if (!this.connected)
        return Promise.reject<BusMessage>(new BusUnavailableError('NATS is away'));
      if (this.#requests === 0) this.#listenOnInbox();
      this.#requests += 1;
      const number = this.#requests;
      return new Promise<BusMessage>((resolve, reject) => {
        const timer = this.#life.clock.after(timeoutMs, () => {
          this.#waiting.delete(number);
          reject(new RequestTimeoutError(subject, timeoutMs));
        });
        this.#waiting.set(number, { subject, resolve, reject, timer });
        send(`${this.#inbox}.${number}`);
      });
    });
    if (answer === undefined || !this.#life.alive) {
      answer?.catch(() => undefined);
      return never();
    }
    return answer;
  }

  /** One standing subscription takes the answers to all requests, as the real multiplexer does. */
  #listenOnInbox(): void {
    const link = this.#link;
    const hand = (message: BusMessage) => this.#life.deliver(() => this.#answered(message));
    link.send(() => this.#server.add({ link, subject: this.#inbox, queue: undefined, hand }));
  }

  #taken(reply: string): Waiting | undefined {
    const number = Number(reply.slice(this.#inbox.length + 1));
    const waiting = this.#waiting.get(number);
    this.#waiting.delete(number);
    waiting?.timer.cancel();
    return waiting;
  }

  #answered(message: BusMessage): void {
    this.#taken(message.subject)?.resolve(message);
  }

  #nobody(reply: string): void {
    const waiting = this.#taken(reply);
    waiting?.reject(new NoResponderError(waiting.subject));
  }
}
