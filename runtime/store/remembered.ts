import type { Clock } from '../clock.ts';
import { storeLike } from './like.ts';
import type { Store, Stored } from './store.ts';

/** What every decision asks for again: single nodes, and folders whose names are listed. */
interface Remembered {
  readonly nodes: readonly string[];
  readonly folders: readonly string[];
}

/** Asked for again after so long, whether or not a change was told. */
const rememberedMs = 10_000;

/**
 * The same store, which keeps what it has read of a few paths until ZooKeeper tells that it changed,
 * the connection breaks, or 10 s have passed. Nothing is staler than by a plain read: the event of a
 * change comes before any later answer of the same session, so what is kept is what that server had
 * applied by its last answer. Read barriers and reading one's own writes hold for the same reason.
 */
export function rememberReads(store: Store, clock: Clock, what: Remembered): Store {
  const nodes = new Map(
    what.nodes.map((path) => [
      path,
      new Memory<Stored | undefined>(clock, {
        read: () => store.read(path),
        follow: (stale) => store.follow(path, stale),
      }),
    ]),
  );
  const folders = new Map(
    what.folders.map((path) => [
      path,
      new Memory<readonly string[]>(clock, {
        read: () => store.list(path),
        follow: (stale) => store.followList(path, stale),
      }),
    ]),
  );
  return storeLike(store, {
    read: (path) => nodes.get(path)?.get() ?? store.read(path),
    list: (path) => folders.get(path)?.get() ?? store.list(path),
  });
}

interface Source<T> {
  read(): Promise<T>;
  follow(stale: () => void): Promise<T>;
}

/** One path as it was last read; whoever asks meanwhile shares the reading. */
class Memory<T> {
  readonly #clock: Clock;
  readonly #source: Source<T>;
  #reading: Promise<T> | undefined;
  #readAt = 0;
  /** It will be told of the next change. */
  #followed = false;

  constructor(clock: Clock, source: Source<T>) {
    this.#clock = clock;
    this.#source = source;
  }

  get(): Promise<T> {
    const now = this.#clock.elapsed();
    const fresh = now - this.#readAt < rememberedMs;
    if (this.#reading !== undefined && fresh) return this.#reading;
    const reading = this.#followed ? this.#source.read() : this.#follow();
    this.#reading = reading;
    this.#readAt = now;
    reading.catch(() => this.#forget(reading));
    return reading;
  }

  #follow(): Promise<T> {
    this.#followed = true;
    const reading = this.#source.follow(() => {
      // Also what is just being read anew: nothing would tell of the change after this one.
      this.#followed = false;
      this.#reading = undefined;
    });
    reading.catch(() => {
      this.#followed = false;
    });
    return reading;
  }

  #forget(reading: Promise<T>): void {
    if (this.#reading === reading) this.#reading = undefined;
  }
}
