import {
  ACL,
  CreateMode,
  Exception,
  Id,
  Permission,
  type Transaction,
} from 'node-zookeeper-client';
import type { Clock } from '../clock.ts';
import { StoreRefusedError, StoreUnavailableError } from '../errors.ts';
import { codeOf } from './codes.ts';
import { Follows } from './follows.ts';
import { checkRecord, checkTransaction } from './limits.ts';
import { culpritOf } from './outcomes.ts';
import { parseChroot, parseServers } from './servers.ts';
import { Session, type StoreLog } from './session.ts';
import type { SessionState, Store, Stored, StoreOp } from './store.ts';
import { Watches } from './watches.ts';

export interface StoreOptions {
  /** `host:port,host:port` */
  readonly servers: string;
  /** All paths lie below it; it is made where it is missing. */
  readonly chroot?: string;
  /** Asked for; the servers may agree on another (`Store.sessionTimeoutMs`). */
  readonly sessionTimeoutMs: number;
  /** Every node that is made belongs to this credential alone. */
  readonly auth?: { readonly scheme: string; readonly credential: string };
  /** How long the first connection is tried for, 30 s unless given. */
  readonly connectTimeoutMs?: number;
  readonly clock: Clock;
  readonly log?: StoreLog;
}

/**
 * Connects to ZooKeeper and resolves once a server has answered.
 * @throws RangeError the servers or the chroot are not well-formed.
 * @throws StoreUnavailableError no server answered in time.
 * @throws StoreRefusedError the credential was refused.
 */
export async function connectStore(options: StoreOptions): Promise<Store> {
  const chroot = parseChroot(options.chroot);
  const session = new Session({
    servers: parseServers(options.servers),
    sessionTimeoutMs: options.sessionTimeoutMs,
    auth: options.auth,
    clock: options.clock,
    log: options.log,
  });
  const owner = options.auth ? new Id('auth', '') : new Id('world', 'anyone');
  const store = new ZooKeeperStore(session, chroot, [new ACL(Permission.ALL, owner)]);
  try {
    await firstContact(session, options.clock, options.connectTimeoutMs ?? 30_000);
    if (chroot !== '') await store.ensure('/');
    return store;
  } catch (error) {
    await session.close();
    throw error;
  }
}

function firstContact(session: Session, clock: Clock, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(timeoutMs, () => {
      const last = session.lastFault ? ` (last: ${session.lastFault.message})` : '';
      const where = `no ZooKeeper answered at ${session.serverNames} within ${timeoutMs} ms`;
      settle(() => reject(new StoreUnavailableError(where + last, { cause: session.lastFault })));
    });
    const stop = session.onState((state) => {
      if (state === 'connected') settle(resolve);
      else if (session.refusal) settle(() => reject(session.refusal));
    });
    const settle = (how: () => void): void => {
      timer.cancel();
      stop();
      how();
    };
    session.start();
  });
}

class ZooKeeperStore implements Store {
  readonly #session: Session;
  readonly #watches: Watches;
  readonly #follows: Follows;
  readonly #chroot: string;
  readonly #acl: ACL[];

  constructor(session: Session, chroot: string, acl: ACL[]) {
    this.#session = session;
    this.#watches = new Watches(session);
    this.#follows = new Follows(session);
    this.#chroot = chroot;
    this.#acl = acl;
  }

  get session(): SessionState {
    return this.#session.state;
  }

  get sessionTimeoutMs(): number {
    return this.#session.timeoutMs;
  }

  get lastContact(): number {
    return this.#session.lastContact;
  }

  onSession(listener: (state: SessionState) => void): () => void {
    return this.#session.onState(listener);
  }

  read(path: string): Promise<Stored | undefined> {
    return this.#session.call({ kind: 'read', verb: 'read', path }, (client, done) =>
      client.getData(this.#full(path), (error, data, stat) => {
        if (codeOf(error) === Exception.NO_NODE) done(undefined, undefined);
        else if (error) done(error);
        else done(undefined, { path, data: textOf(data), version: stat.version });
      }),
    );
  }

  list(path: string): Promise<readonly string[]> {
    return this.#session.call({ kind: 'read', verb: 'list', path }, (client, done) =>
      client.getChildren(this.#full(path), (error, children) => {
        if (codeOf(error) === Exception.NO_NODE) done(undefined, []);
        else if (error) done(error);
        else done(undefined, children.sort());
      }),
    );
  }

  async commit(ops: readonly StoreOp[]): Promise<void> {
    const [first] = ops;
    if (!first) return;
    checkTransaction(ops, this.#chroot);
    await this.#session.call<void>(
      { kind: 'write', verb: `commit of ${ops.length} at`, path: first.path },
      (client, done) => {
        const transaction = client.transaction();
        for (const op of ops) this.#addStep(transaction, op);
        transaction.commit((error, results) => {
          const culprit = error ? culpritOf(results) : undefined;
          if (culprit) done(culprit.error, undefined, ops[culprit.index]?.path);
          else done(error);
        });
      },
    );
  }

  async ensure(path: string): Promise<void> {
    const names = this.#full(path).split('/').slice(1);
    const paths = names.map((_, i) => `/${names.slice(0, i + 1).join('/')}`);
    // From below: a credential may own a folder without a right to look at what lies above it.
    let present = names[0] === '' ? paths.length : 0;
    for (let i = paths.length; i > present; i -= 1) {
      if (await this.#exists(paths[i - 1] ?? '/')) present = i;
    }
    for (const missing of paths.slice(present)) {
      await this.#create(missing, '', CreateMode.PERSISTENT).catch((error: unknown) => {
        // Another one made it in the meantime.
        const exists = error instanceof Error && codeOf(error.cause) === Exception.NODE_EXISTS;
        if (!exists) throw error;
      });
    }
  }

  async createEphemeralSequential(prefix: string, data: string): Promise<string> {
    checkRecord(prefix, data);
    const path = await this.#create(this.#full(prefix), data, CreateMode.EPHEMERAL_SEQUENTIAL);
    return path.slice(this.#chroot.length);
  }

  discard(path: string): Promise<void> {
    return this.#session.call({ kind: 'write', verb: 'discard', path }, (client, done) =>
      client.remove(this.#full(path), -1, (error) => {
        if (codeOf(error) === Exception.NOT_EMPTY) {
          done(new StoreRefusedError(`discard ${path}: it has children`));
        } else done(codeOf(error) === Exception.NO_NODE ? undefined : error);
      }),
    );
  }

  async watch(path: string, listener: () => void): Promise<Stored | undefined> {
    const reading = await this.#watches.watch(this.#full(path), listener);
    return reading && { path, data: textOf(reading.data), version: reading.stat.version };
  }

  async follow(path: string, stale: () => void): Promise<Stored | undefined> {
    const reading = await this.#follows.node(this.#full(path), stale);
    return reading && { path, data: textOf(reading.data), version: reading.stat.version };
  }

  async followList(path: string, stale: () => void): Promise<readonly string[]> {
    return [...(await this.#follows.list(this.#full(path), stale))].sort();
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  #exists(full: string): Promise<boolean> {
    return this.#session.call({ kind: 'read', verb: 'look for', path: full }, (client, done) =>
      client.exists(full, (error, stat) => done(error, Boolean(stat))),
    );
  }

  #create(full: string, data: string, mode: number): Promise<string> {
    return this.#session.call({ kind: 'write', verb: 'create', path: full }, (client, done) =>
      client.create(full, Buffer.from(data), this.#acl, mode, done),
    );
  }

  #addStep(transaction: Transaction, op: StoreOp): void {
    const path = this.#full(op.path);
    if (op.kind === 'create') {
      transaction.create(path, Buffer.from(op.data), this.#acl, CreateMode.PERSISTENT);
      return;
    }
    if (op.kind === 'set') transaction.setData(path, Buffer.from(op.data), op.version);
    else if (op.kind === 'remove') transaction.remove(path, op.version);
    else transaction.check(path, op.version);
    pinVersion(transaction, op.version);
  }

  /** A path without its slash would lie beside the chroot, not below it. */
  #full(path: string): string {
    if (!path.startsWith('/')) throw new StoreRefusedError(`the path "${path}" is not absolute`);
    return path === '/' && this.#chroot !== '' ? this.#chroot : this.#chroot + path;
  }
}

/** The package turns version 0 into "any version", which loses updates silently. */
function pinVersion(transaction: Transaction, version: number): void {
  const { ops } = transaction as unknown as { readonly ops: { version: number }[] };
  const last = ops.at(-1);
  if (last) last.version = version;
}

function textOf(data: Buffer | undefined): string {
  return data?.toString('utf8') ?? '';
}
