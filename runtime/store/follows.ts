import { type Event, Exception, type Stat } from 'node-zookeeper-client';
import { codeOf } from './codes.ts';
import type { Session } from './session.ts';
import type { Reading } from './watches.ts';

/** Listeners by what they were told of; each is called once. */
type Followed = Map<string, Set<() => void>>;

/**
 * Watches that hold no longer than their connection, by full path: what is kept of a reading is
 * given up when it breaks, so nothing has to be set again on the next one.
 */
export class Follows {
  readonly #session: Session;
  readonly #nodes: Followed = new Map();
  readonly #lists: Followed = new Map();
  readonly #onNode = (event: Event): void => fire(this.#nodes, event.path);
  readonly #onList = (event: Event): void => fire(this.#lists, event.path);

  constructor(session: Session) {
    this.#session = session;
    session.onState((state) => {
      if (state === 'connected') return;
      for (const followed of [this.#nodes, this.#lists]) {
        for (const path of [...followed.keys()]) fire(followed, path);
      }
    });
  }

  /** The node, or undefined where there is none: then its making is what is told. */
  async node(path: string, stale: () => void): Promise<Reading | undefined> {
    const reading = await this.#session.call<Reading | undefined>(
      { kind: 'read', verb: 'follow', path },
      (client, done) =>
        client.getData(path, this.#onNode, (error, data, stat) => {
          // In the same turn as the answer: the event of the next change may be the next packet.
          if (!error) add(this.#nodes, path, stale);
          if (codeOf(error) === Exception.NO_NODE) done(undefined, undefined);
          else done(error, { data, stat });
        }),
    );
    if (reading !== undefined) return reading;
    // Made between the two calls: whoever shares this reading may have made it.
    return (await this.#place(path, stale)) ? this.node(path, stale) : undefined;
  }

  /** Whether the node is there after all; only where it is not, its making is told. */
  #place(path: string, stale: () => void): Promise<boolean> {
    return this.#session.call({ kind: 'read', verb: 'follow', path }, (client, done) =>
      client.exists(path, this.#onNode, (error, stat: Stat | null) => {
        const there = stat !== null && stat !== undefined;
        if (!error && !there) add(this.#nodes, path, stale);
        done(error, there);
      }),
    );
  }

  /** The names; of a folder that is not there nothing is told, so what was read is stale at once. */
  list(path: string, stale: () => void): Promise<readonly string[]> {
    return this.#session.call({ kind: 'read', verb: 'follow the list of', path }, (client, done) =>
      client.getChildren(path, this.#onList, (error, names) => {
        if (!error) add(this.#lists, path, stale);
        if (codeOf(error) !== Exception.NO_NODE) done(error, names);
        else {
          queueMicrotask(stale);
          done(undefined, []);
        }
      }),
    );
  }
}

function add(followed: Followed, path: string, stale: () => void): void {
  const listeners = followed.get(path) ?? new Set();
  listeners.add(stale);
  followed.set(path, listeners);
}

function fire(followed: Followed, path: string): void {
  const listeners = followed.get(path);
  followed.delete(path);
  // What a listener throws must not reach the package, which is in the middle of a packet.
  for (const listener of listeners ?? []) queueMicrotask(listener);
}
