import { storeLike } from '../store/like.ts';
import type { Store } from '../store/store.ts';

/** Which version of each node was read; undefined: there was none. */
type Read = ReadonlyMap<string, number | undefined>;

/** A store for `load` that writes down what a decision was made from. */
export class ReadNotes {
  readonly store: Store;
  #read = new Map<string, number | undefined>();

  constructor(store: Store) {
    this.store = storeLike(store, {
      read: async (path) => {
        const read = this.#read;
        const found = await store.read(path);
        read.set(path, found?.version);
        return found;
      },
    });
  }

  /** Begins anew; what is read from now on stands in the map that is given. */
  begin(): Read {
    this.#read = new Map();
    return this.#read;
  }
}

/** `<path>@<version>`, or `<path>@none`. */
export function showRead(read: Read): string[] {
  return [...read].map(([path, version]) => `${path}@${version ?? 'none'}`);
}
