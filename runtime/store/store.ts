/** One node as it was read. `version` is ZooKeeper's data version, the token of compare-and-set. */
export interface Stored {
  readonly path: string;
  readonly data: string;
  readonly version: number;
}

/** One step of a transaction. All paths are absolute. */
export type StoreOp =
  | { readonly kind: 'create'; readonly path: string; readonly data: string }
  | { readonly kind: 'set'; readonly path: string; readonly data: string; readonly version: number }
  | { readonly kind: 'remove'; readonly path: string; readonly version: number }
  | { readonly kind: 'check'; readonly path: string; readonly version: number };

/** `connected`: calls pass. `suspended`: contact lost, the session may still live. `expired`: session, ephemerals and watches are gone. */
export type SessionState = 'connected' | 'suspended' | 'expired';

/**
 * The only truth, as the rest of drey sees it. Reads may be stale (another server may lag), writes
 * are linearisable; what changes something is made safe by its version.
 */
export interface Store {
  /** The node, or undefined where there is none. @throws StoreUnavailableError */
  read(path: string): Promise<Stored | undefined>;
  /** Names of the children in ascending order; empty where there is no such node. @throws StoreUnavailableError */
  list(path: string): Promise<readonly string[]>;
  /**
   * Applies all steps or none.
   * @throws StaleRecordError a version or an existence did not hold: nothing was applied.
   * @throws StoreUnavailableError certainly not applied.
   * @throws StoreOutcomeUnknownError may have been applied.
   * @throws StoreRefusedError too large or not allowed: nothing was applied.
   */
  commit(ops: readonly StoreOp[]): Promise<void>;
  /** Makes the path and its parents as persistent, empty nodes where they are missing. */
  ensure(path: string): Promise<void>;
  /** Creates an ephemeral sequential node `<prefix><10 digits>`, resolves to its full path. */
  createEphemeralSequential(prefix: string, data: string): Promise<string>;
  /** Removes a node whatever its version; no error where it is gone. */
  discard(path: string): Promise<void>;
  /**
   * Reads the node and calls `listener` once, when it is made, changes or vanishes, or when the
   * session expires. Each watched node is read again after a reconnect: watch few.
   */
  watch(path: string, listener: () => void): Promise<Stored | undefined>;
  /**
   * Reads the node and calls `stale` once, when what was read may hold no more: the node was made,
   * changed or vanished, or the connection broke. The call comes before any later answer.
   */
  follow(path: string, stale: () => void): Promise<Stored | undefined>;
  /** The same for the names of a folder's children. */
  followList(path: string, stale: () => void): Promise<readonly string[]>;
  /** Tells each change of the session. Returns the way to stop listening. */
  onSession(listener: (state: SessionState) => void): () => void;
  readonly session: SessionState;
  /** The session time-out that was agreed with the server, ms. A lease holder steps down after 2/3 of it without contact. */
  readonly sessionTimeoutMs: number;
  /** When a server last answered, by the clock's `elapsed`: what a lease is measured from. */
  readonly lastContact: number;
  close(): Promise<void>;
}
