import type { Store } from './store.ts';

/** The same store with some of its methods in another form. */
export function storeLike(store: Store, other: Partial<Store>): Store {
  return {
    read: (path) => store.read(path),
    list: (path) => store.list(path),
    commit: (ops) => store.commit(ops),
    ensure: (path) => store.ensure(path),
    createEphemeralSequential: (prefix, data) => store.createEphemeralSequential(prefix, data),
    discard: (path) => store.discard(path),
    watch: (path, listener) => store.watch(path, listener),
    follow: (path, stale) => store.follow(path, stale),
    followList: (path, stale) => store.followList(path, stale),
    onSession: (listener) => store.onSession(listener),
    get session() {
      return store.session;
    },
    get sessionTimeoutMs() {
      return store.sessionTimeoutMs;
    },
    get lastContact() {
      return store.lastContact;
    },
    close: () => store.close(),
    ...other,
  };
}
