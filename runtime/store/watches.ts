import { type Event, Exception, type Stat } from 'node-zookeeper-client';
import { StoreUnavailableError } from '../errors.ts';
import { codeOf } from './codes.ts';
import { inParallel } from './parallel.ts';
import type { Session } from './session.ts';

/** What a watched node was when it was read. */
export interface Reading {
  readonly data: Buffer | undefined;
  readonly stat: Stat;
}

interface Watched {
  /** The transaction that last changed the node, as it was read; undefined: there was no node. */
  readonly changedBy: string | undefined;
  readonly listeners: Set<() => void>;
}

const readsAtOnce = 256;

/**
 * One-shot watches on nodes, by full path. After a reconnect every watched node is read again, one
 * by one: the package would send all watches in one packet, which a server refuses from about
 * 20,000 on by cutting the connection, for ever.
 */
export class Watches {
  readonly #session: Session;
  readonly #watched = new Map<string, Watched>();
  readonly #onEvent = (event: Event): void => this.#fire(event.path);

  constructor(session: Session) {
    this.#session = session;
    session.onState((state) => {
      if (state === 'connected') void this.#readAgain();
      if (state === 'expired') for (const path of [...this.#watched.keys()]) this.#fire(path);
    });
  }

  /** Reads the node and leaves a watch on it, or on its place where there is none. */
  async watch(path: string, listener: () => void): Promise<Reading | undefined> {
    const reading = await this.#onNode(path, listener);
    if (!reading) await this.#onPlace(path, listener);
    return reading;
  }

  #onNode(path: string, listener?: () => void): Promise<Reading | undefined> {
    return this.#session.call({ kind: 'read', verb: 'watch', path }, (client, done) =>
      client.getData(path, this.#onEvent, (error, data, stat) => {
        // In the same turn as the answer: an event of an earlier watch must not end this one.
        if (!error && listener) this.#add(path, stat, listener);
        if (codeOf(error) === Exception.NO_NODE) done(undefined, undefined);
        else done(error, { data, stat });
      }),
    );
  }

  /** Between the two calls the node may have been made: then the watch counts as fired. */
  #onPlace(path: string, listener?: () => void): Promise<Stat | undefined> {
    return this.#session.call({ kind: 'read', verb: 'watch', path }, (client, done) =>
      client.exists(path, this.#onEvent, (error, stat: Stat | null) => {
        if (!error && listener) {
          this.#add(path, undefined, listener);
          if (stat) this.#fire(path);
        }
        done(error, stat ?? undefined);
      }),
    );
  }

  #add(path: string, stat: Stat | undefined, listener: () => void): void {
    const watched = this.#watched.get(path);
    // Wrapped, so that the same listener given twice is called twice.
    const entry = (): void => listener();
    if (watched) watched.listeners.add(entry);
    else this.#watched.set(path, { changedBy: changeOf(stat), listeners: new Set([entry]) });
  }

  #fire(path: string): void {
    const watched = this.#watched.get(path);
    if (!watched) return;
    this.#watched.delete(path);
    // What a listener throws must not reach the package, which is in the middle of a packet.
    for (const listener of watched.listeners) queueMicrotask(listener);
  }

  async #readAgain(): Promise<void> {
    await inParallel([...this.#watched], readsAtOnce, async ([path, watched]) => {
      const absent = watched.changedBy === undefined;
      const looked = absent
        ? this.#onPlace(path)
        : this.#onNode(path).then((reading) => reading?.stat);
      const same = await looked.then(
        (stat) => changeOf(stat) === watched.changedBy,
        // Away again: the next connection reads again. For anything else whoever watches looks itself.
        (error: unknown) => error instanceof StoreUnavailableError,
      );
      if (!same && this.#watched.get(path) === watched) this.#fire(path);
    });
  }
}

function changeOf(stat: Stat | undefined): string | undefined {
  return stat?.mzxid.toString('hex');
}
