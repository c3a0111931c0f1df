import {
  StaleRecordError,
  StoreOutcomeUnknownError,
  StoreRefusedError,
  StoreUnavailableError,
} from '#runtime/errors.ts';
import type { SessionState, Store, Stored, StoreOp } from '#runtime/store/store.ts';
import { type Life, never } from '../life.ts';
import type { Random } from '../random.ts';
import { type Ensemble, type LogEntry, listOf, type Server } from './ensemble.ts';
import { StoreLink } from './link.ts';
import { ephemeralParent, notEmpty, parentOf, type TreeOp } from './tree.ts';

const largestRecord = 512 * 1024;

interface Watch {
  readonly listener: () => void;
}

/** The store as one process sees it: one session after the other, on one server after the other. */
export class SimStore implements Store {
  readonly sessionTimeoutMs: number;
  readonly #ensemble: Ensemble;
  readonly #life: Life;
  readonly #random: Random;
  readonly #listeners = new Set<(state: SessionState) => void>();
  readonly #watches = new Map<string, Watch[]>();
  #link: StoreLink | undefined;
  #id: number;
  /** The newest transaction that this session has seen: no server behind it will do. */
  #seen = 0;
  #state: SessionState = 'connected';
  #contact: number;
  #closed = false;

  constructor(ensemble: Ensemble, life: Life, sessionTimeoutMs = 10_000) {
    this.#ensemble = ensemble;
    this.#life = life;
    this.#random = life.random.fork('store');
    this.sessionTimeoutMs = sessionTimeoutMs;
    this.#id = ensemble.open(life.name, sessionTimeoutMs);
    this.#contact = life.world.time.now();
    if (ensemble.away) {
      this.#state = 'suspended';
      this.#relink();
    } else this.#link = this.#connect(this.#random.pick(ensemble.servers));
    ensemble.onOutage(() => this.cut(0));
    life.onDeath(() => this.#die());
    life.onFreeze((frozen) => this.#freeze(frozen));
  }

  get session(): SessionState {
    return this.#state;
  }

  get lastContact(): number {
    const everyMs = this.sessionTimeoutMs / 6;
    if (this.#link?.alive !== true || this.#life.frozen) return this.#contact;
    const now = this.#life.world.time.now();
    return Math.max(this.#contact, now - ((now - this.#contact) % everyMs));
  }

  /** Resolves once a server has answered for the first time. */
  connected(): Promise<void> {
    if (this.#state === 'connected') return Promise.resolve();
    return new Promise((resolve) => {
      this.onSession((state) => {
        if (state === 'connected') resolve();
      });
    });
  }

  read(path: string): Promise<Stored | undefined> {
    return this.#read((server) => storedAt(server, path));
  }

  list(path: string): Promise<readonly string[]> {
    return this.#read((server) => server.tree.children(path));
  }

  watch(path: string, listener: () => void): Promise<Stored | undefined> {
    return this.#read((server, link) => {
      this.#watchOn(link, path, listener);
      return storedAt(server, path);
    });
  }

  follow(path: string, stale: () => void): Promise<Stored | undefined> {
    return this.#read((server, link) => {
      link.follow(path, stale);
      return storedAt(server, path);
    });
  }

  followList(path: string, stale: () => void): Promise<readonly string[]> {
    return this.#read((server, link) => {
      link.follow(listOf(path), stale);
      return server.tree.children(path);
    });
  }

  async commit(ops: readonly StoreOp[]): Promise<void> {
    if (ops.length === 0) return;
    const sizes = ops.map((op) => ('data' in op ? op.data.length : 0));
    if (sizes.some((size) => size > largestRecord)) {
      throw new StoreRefusedError(`a record of ${Math.max(...sizes)} bytes is too large`);
    }
    await this.#write('commit', (propose) => propose(ops));
  }

  async ensure(path: string): Promise<void> {
    const missing: string[] = [];
    for (let at = path; at !== '/'; at = parentOf(at)) missing.unshift(at);
    for (const step of missing) {
      if ((await this.read(step)) !== undefined) continue;
      await this.#write(
        'ensure',
        (propose) => propose([{ kind: 'create', path: step, data: '' }]),
        true,
      );
    }
  }

  async createEphemeralSequential(prefix: string, data: string): Promise<string> {
    const owner = this.#id;
    const op: TreeOp = { kind: 'create', path: prefix, data, owner, sequential: true };
    const entry = await this.#write('create', (propose) => propose([op]));
    return entry.result.ok ? (entry.result.paths[0] ?? prefix) : prefix;
  }

  async discard(path: string): Promise<void> {
    await this.#write(
      'discard',
      (propose) => propose([{ kind: 'remove', path, version: -1 }]),
      true,
    );
  }

  onSession(listener: (state: SessionState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#ensemble.close(this.#id, 'closed');
    this.#link?.cut();
    this.#tell('expired');
  }

  #read<T>(look: (server: Server, link: StoreLink) => T): Promise<T> {
    if (!this.#life.alive) return never();
    const link = this.#usable();
    if (link === undefined) return Promise.reject(away());
    return new Promise<T>((resolve, reject) => {
      link.call({
        kind: 'read',
        serve: (server) => {
          const found = look(server, link);
          return () => resolve(found);
        },
        lost: () => reject(away()),
      });
    });
  }

  /** Where `anyhow`, a refused step (it is there, it is gone) is as good as done. */
  #write(
    name: string,
    make: (propose: (ops: readonly TreeOp[]) => LogEntry | undefined) => LogEntry | undefined,
    anyhow = false,
  ): Promise<LogEntry> {
    const sent = this.#life.effect(name, () => {
      const link = this.#usable();
      if (link === undefined) return Promise.reject<LogEntry>(away());
      const id = this.#id;
      return new Promise<LogEntry>((resolve, reject) => {
        link.call({
          kind: 'write',
          // A session that has moved to another server is refused on the old one.
          propose: () =>
            link === this.#link || this.#link === undefined
              ? make((ops) => this.#ensemble.propose(id, ops))
              : undefined,
          answer: (entry) => {
            const { result } = entry;
            if (!result.ok && isForbidden(name, result.reason)) {
              reject(new StoreRefusedError(`${name} ${result.path}: ${result.reason}`));
            } else if (result.ok || anyhow) resolve(entry);
            else reject(new StaleRecordError(result.path));
          },
          lost: () => reject(new StoreOutcomeUnknownError(`${name}: the connection broke`)),
        });
      });
    });
    if (sent === undefined || !this.#life.alive) {
      sent?.catch(() => undefined);
      return never();
    }
    return sent;
  }

  #usable(): StoreLink | undefined {
    return this.#state === 'connected' && !this.#closed ? this.#link : undefined;
  }

  #watchOn(link: StoreLink, path: string, listener: () => void): void {
    const watch: Watch = { listener };
    this.#watches.set(path, [...(this.#watches.get(path) ?? []), watch]);
    this.#arm(link, path, watch);
  }

  #arm(link: StoreLink, path: string, watch: Watch): void {
    link.server.watch(path, () => link.answer(() => this.#fire(path, watch)));
  }

  #fire(path: string, watch: Watch): void {
    const left = this.#watches.get(path) ?? [];
    if (!left.includes(watch)) return;
    this.#watches.set(
      path,
      left.filter((other) => other !== watch),
    );
    watch.listener();
  }

  #connect(server: Server): StoreLink {
    return new StoreLink(this.#ensemble, server, this.#life, this.#random, {
      saw: (zxid) => {
        this.#seen = Math.max(this.#seen, zxid);
      },
      refused: () => this.cut(0),
    });
  }

  /** What is asked from now on reaches the server, and no answer comes back; then it breaks. */
  loseAnswers(forMs: number): void {
    this.#link?.mute();
    this.#life.world.time.after(forMs, () => this.cut(0));
  }

  /** Breaks the connection for so long; where `silent`, the client notices only by its watchdog. */
  cut(durationMs: number, silent = false): void {
    const link = this.#link;
    if (link === undefined || !link.alive || !this.#life.alive || this.#closed) return;
    this.#lose();
    link.cut();
    this.#ensemble.hold(this.#id, false);
    const noticeMs = silent ? Math.min(durationMs, (this.sessionTimeoutMs * 2) / 3) : 0;
    const { time, history } = this.#life.world;
    history.note(
      'fault',
      'store cut',
      `${this.#life.name} ${durationMs} ms${silent ? ' silent' : ''}`,
    );
    time.after(noticeMs, () => this.#life.deliver(() => this.#suspend(link)));
    time.after(Math.max(noticeMs, durationMs) + this.#random.span(1, 60), () => this.#relink());
  }

  /** From now on nothing comes: the last contact stays where it was. */
  #lose(): void {
    this.#contact = this.lastContact;
  }

  #suspend(link: StoreLink): void {
    this.#link = undefined;
    link.forget();
    this.#tell('suspended');
  }

  #relink(): void {
    if (!this.#life.alive || this.#closed || this.#link?.alive === true) return;
    const server = this.#random.pick(this.#ensemble.servers);
    if (this.#ensemble.away || server.applied < this.#seen || this.#life.frozen) {
      this.#life.world.time.after(this.#random.span(5, 50), () => this.#relink());
      return;
    }
    if (this.#ensemble.lives(this.#id)) {
      this.#ensemble.hold(this.#id, true);
      this.#adopt(server);
    } else this.#life.deliver(() => this.#expire());
  }

  #adopt(server: Server): void {
    const link = this.#connect(server);
    this.#life.deliver(() => {
      this.#link = link;
      this.#contact = this.#life.world.time.now();
      for (const [path, watches] of this.#watches) {
        for (const watch of watches) this.#rearm(link, path, watch);
      }
      this.#tell('connected');
    });
  }

  /** A watch is set again with what the client has seen: what it missed fires at once. */
  #rearm(link: StoreLink, path: string, watch: Watch): void {
    const node = link.server.tree.get(path);
    if (node === undefined || node.changedBy > this.#seen)
      link.answer(() => this.#fire(path, watch));
    else this.#arm(link, path, watch);
  }

  /** The session is gone with its ephemerals and watches; a new one begins, which has seen nothing. */
  #expire(): void {
    const fired = [...this.#watches.values()].flat();
    this.#watches.clear();
    this.#seen = 0;
    this.#tell('expired');
    for (const { listener } of fired) listener();
    this.#life.world.time.after(this.#random.span(1, 30), () => this.#renew());
  }

  #renew(): void {
    if (!this.#life.alive || this.#closed) return;
    if (this.#ensemble.away) {
      this.#life.world.time.after(20, () => this.#renew());
      return;
    }
    this.#id = this.#ensemble.open(this.#life.name, this.sessionTimeoutMs);
    this.#adopt(this.#random.pick(this.#ensemble.servers));
  }

  #tell(state: SessionState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#life.world.history.note(this.#life.name, 'session', state);
    for (const listener of [...this.#listeners]) queueMicrotask(() => listener(state));
  }

  #die(): void {
    this.#link?.cut();
    this.#ensemble.hold(this.#id, false);
  }

  #freeze(frozen: boolean): void {
    if (frozen) {
      this.#lose();
      this.#ensemble.hold(this.#id, false);
    } else if (this.#ensemble.lives(this.#id) && this.#link?.alive === true) {
      this.#ensemble.hold(this.#id, true);
    } else this.cut(0);
  }
}

/** What waits for no other writer to be cured. */
function isForbidden(name: string, reason: string): boolean {
  return reason === ephemeralParent || (name === 'discard' && reason === notEmpty);
}

function storedAt(server: Server, path: string): Stored | undefined {
  const node = server.tree.get(path);
  return node && { path, data: node.data, version: node.version };
}

function away(): StoreUnavailableError {
  return new StoreUnavailableError('ZooKeeper is away');
}
