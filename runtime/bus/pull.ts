import type { Clock, Timer } from '../clock.ts';
import { DreyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Subscription } from './bus.ts';
import type { Wire, WireMessage } from './wire.ts';

/** A consumer that can be asked for messages now. */
export interface Source {
  readonly stream: string;
  readonly consumer: string;
}

export interface PullOptions<Found extends Source> {
  readonly wire: Wire;
  readonly clock: Clock;
  readonly log: Log;
  /** Messages asked for at one time. */
  readonly batch: number;
  /** Makes sure of stream and consumer; called again after each loss. */
  readonly establish: () => Promise<Found>;
  readonly handle: (message: WireMessage, source: Found) => void;
}

const nanosPerMs = 1_000_000;
const expiresMs = 30_000;
const heartbeatMs = 5000;
/** Without a sign of life for so long the consumer is taken for lost. */
const silenceMs = 2.5 * heartbeatMs;
const firstPauseMs = 100;
const longestPauseMs = 5000;
const heartbeat = 100;
const expired = 408;

type End = 'finished' | 'lost';

/** Asks a consumer for messages, for ever: through expired requests, reconnects and restarts of the server. */
export class Pull<Found extends Source> implements Subscription {
  readonly #options: PullOptions<Found>;
  readonly #stop = Promise.withResolvers<void>();
  #stopped = false;
  #end: (end: End) => void = () => {};
  #inbox: Subscription | undefined;
  readonly #loop: Promise<void>;
  readonly #ready = Promise.withResolvers<void>();

  private constructor(options: PullOptions<Found>) {
    this.#options = options;
    this.#loop = this.#run();
  }

  /** Resolves once the consumer stands. @throws a DreyError that needs a person. */
  static async start<Found extends Source>(options: PullOptions<Found>): Promise<Pull<Found>> {
    const pull = new Pull(options);
    await pull.#ready.promise;
    return pull;
  }

  async drain(): Promise<void> {
    this.#stopped = true;
    this.#stop.resolve();
    await this.#inbox?.drain();
    this.#end('lost');
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { wire, log } = this.#options;
    let pauseMs = firstPauseMs;
    let first = true;
    while (!this.#stopped) {
      try {
        await Promise.race([connected(wire), this.#stop.promise]);
        const source = await this.#options.establish();
        first = false;
        this.#ready.resolve();
        pauseMs = firstPauseMs;
        await this.#follow(source);
      } catch (error) {
        if (!(error instanceof DreyError)) throw error;
        if (first && error.remedy === 'give-up') {
          this.#ready.reject(error);
          return;
        }
        log.warn({ error }, 'a stream cannot be read, trying again');
        pauseMs = Math.min(pauseMs * 2, longestPauseMs);
      }
      if (!this.#stopped) await this.#pause(pauseMs);
    }
  }

  async #pause(pauseMs: number): Promise<void> {
    const passed = Promise.withResolvers<void>();
    const timer = this.#options.clock.after(pauseMs, passed.resolve);
    await Promise.race([passed.promise, this.#stop.promise]);
    timer.cancel();
  }

  /** Hands over messages of this consumer until it is lost. */
  async #follow(source: Found): Promise<void> {
    const { wire, clock } = this.#options;
    const inbox = wire.newInbox();
    const stopListening = wire.onConnection((up) => {
      if (!up) this.#end('lost');
    });
    let lastSign = clock.elapsed();
    let delivered = 0;
    const subscription = wire.subscribe(inbox, undefined, (message) => {
      lastSign = clock.elapsed();
      if (message.status === heartbeat) return;
      if (message.status !== 0) {
        this.#end(endOf(message));
        return;
      }
      delivered += 1;
      this.#options.handle(message, source);
      if (delivered >= this.#options.batch) this.#end('finished');
    });
    this.#inbox = subscription;
    let watch: Timer | undefined;
    const look = () => {
      const left = lastSign + silenceMs - clock.elapsed();
      if (left <= 0) this.#end('lost');
      else watch = clock.after(left, look);
    };
    look();
    try {
      let end: End = 'finished';
      while (end === 'finished' && !this.#stopped) {
        delivered = 0;
        end = await this.#ask(source, inbox);
      }
    } finally {
      watch?.cancel();
      stopListening();
      await subscription.drain();
    }
  }

  #ask(source: Found, inbox: string): Promise<End> {
    const { wire, batch } = this.#options;
    const request = {
      batch,
      expires: expiresMs * nanosPerMs,
      idle_heartbeat: heartbeatMs * nanosPerMs,
    };
    return new Promise((resolve) => {
      this.#end = resolve;
      const subject = `$JS.API.CONSUMER.MSG.NEXT.${source.stream}.${source.consumer}`;
      const data = new TextEncoder().encode(JSON.stringify(request));
      if (!wire.publish(subject, data, { reply: inbox })) resolve('lost');
    });
  }
}

function endOf(message: WireMessage): End {
  if (message.status === expired) return 'finished';
  // Newer servers tell the end of a batch in these words.
  if (/batch completed/i.test(message.statusText)) return 'finished';
  return 'lost';
}

function connected(wire: Wire): Promise<void> {
  if (wire.connected) return Promise.resolve();
  return new Promise((resolve) => {
    const stop = wire.onConnection((up) => {
      if (!up) return;
      stop();
      resolve();
    });
  });
}
