import type { World } from '../life.ts';
import { parentOf, Tree, type TreeOp, type TreeResult } from './tree.ts';

/** One transaction in the order in which it was agreed; a refused one counts too. */
export interface LogEntry {
  readonly zxid: number;
  readonly who: string;
  readonly ops: readonly TreeOp[];
  readonly result: TreeResult;
}

/** How quick the simulated ZooKeeper is; the faults change it while it runs. */
export interface StoreWeather {
  /** Client to server and back, ms each way, at most. */
  latencyMs: number;
  /** Agreement among the servers, ms, at most. */
  agreeMs: number;
  /** How far each server is behind the leader, ms, at most; the first is the leader's own. */
  lagMs: number[];
}

/** What is watched where the names of a folder's children are. */
export function listOf(folder: string): string {
  return `${folder}/*`;
}

/** One server: applies the log in order, each entry some time after it was agreed. */
export class Server {
  tree = new Tree();
  applied = 0;
  /** Raised by a restore: what was agreed before it is not applied any more. */
  #life = 0;
  readonly #world: World;
  readonly #lagMs: () => number;
  readonly #watches = new Map<string, Set<() => void>>();
  #waiting: { readonly zxid: number; readonly then: () => void }[] = [];
  #appliesAt = 0;

  constructor(world: World, lagMs: () => number) {
    this.#world = world;
    this.#lagMs = lagMs;
  }

  receive(entry: LogEntry): void {
    const now = this.#world.time.now();
    this.#appliesAt = Math.max(this.#appliesAt, now + this.#lagMs());
    const life = this.#life;
    this.#world.time.after(this.#appliesAt - now, () => {
      if (life === this.#life) this.#apply(entry);
    });
  }

  /** Begins anew from a copy. */
  restore(tree: Tree, zxid: number): void {
    this.#life += 1;
    this.tree = tree.copy();
    this.applied = zxid;
    this.#waiting = [];
    this.#watches.clear();
  }

  #apply(entry: LogEntry): void {
    this.applied = entry.zxid;
    if (entry.result.ok) {
      this.tree.apply(entry.zxid, entry.ops);
      for (const [index, path] of entry.result.paths.entries()) {
        const kind = entry.ops[index]?.kind;
        if (kind === 'check') continue;
        this.#fire(path);
        if (kind !== 'set') this.#fire(listOf(parentOf(path)));
      }
    }
    const ready = this.#waiting.filter(({ zxid }) => zxid <= entry.zxid);
    this.#waiting = this.#waiting.filter(({ zxid }) => zxid > entry.zxid);
    for (const { then } of ready) then();
  }

  #fire(path: string): void {
    const watches = this.#watches.get(path);
    this.#watches.delete(path);
    for (const fire of watches ?? []) fire();
  }

  /** Calls once when the node changes, comes or goes; for `listOf` a folder, when a child comes or goes. */
  watch(path: string, fire: () => void): void {
    const watches = this.#watches.get(path) ?? new Set();
    watches.add(fire);
    this.#watches.set(path, watches);
  }

  /** Calls as soon as this server has applied everything up to `zxid`. */
  whenApplied(zxid: number, then: () => void): void {
    if (this.applied >= zxid) then();
    else this.#waiting.push({ zxid, then });
  }
}

interface Session {
  readonly who: string;
  readonly timeoutMs: number;
  live: boolean;
  held: boolean;
  /** Raised with each change of hold, so that an old deadline does nothing. */
  turn: number;
}

/** The simulated ZooKeeper: one agreed order of transactions, several servers that follow it. */
export class Ensemble {
  readonly servers: readonly Server[];
  /** What is agreed, without any lag: for laws, never for clients. */
  agreed = new Tree();
  readonly weather: StoreWeather;
  readonly #world: World;
  readonly #sessions = new Map<number, Session>();
  readonly #onCommit: ((entry: LogEntry) => void)[] = [];
  readonly #onOutage: (() => void)[] = [];
  readonly #onRestore: (() => void)[] = [];
  #zxid = 0;
  #away = false;
  #full = false;

  constructor(world: World, weather: StoreWeather) {
    this.#world = world;
    this.weather = weather;
    this.servers = weather.lagMs.map((_, index) => {
      const random = world.random.fork(`zk-${index}`);
      return new Server(world, () => random.span(0, weather.lagMs[index] ?? 0));
    });
  }

  get away(): boolean {
    return this.#away;
  }

  onCommit(listener: (entry: LogEntry) => void): void {
    this.#onCommit.push(listener);
  }

  onOutage(listener: () => void): void {
    this.#onOutage.push(listener);
  }

  onRestore(listener: () => void): void {
    this.#onRestore.push(listener);
  }

  /** Puts an old copy in place of what is there, while nobody is connected; old sessions run out. */
  restore(copy: Tree): void {
    this.#world.history.note('fault', 'store restored', 'from an old copy');
    this.agreed = copy.copy();
    for (const session of this.#sessions.values()) session.live = false;
    for (const server of this.servers) server.restore(copy, this.#zxid);
    const owned = [...this.agreed.paths].filter(
      (path) => this.agreed.get(path)?.owner !== undefined,
    );
    this.#append(
      'zookeeper',
      owned.map((path) => ({ kind: 'remove', path, version: -1 })),
    );
    for (const listener of this.#onRestore) listener();
  }

  open(who: string, timeoutMs: number): number {
    const id = this.#sessions.size + 1;
    this.#sessions.set(id, { who, timeoutMs, live: true, held: true, turn: 0 });
    return id;
  }

  lives(session: number): boolean {
    return this.#sessions.get(session)?.live === true;
  }

  /** The point of linearisation. Undefined where the session has expired. */
  propose(session: number, ops: readonly TreeOp[]): LogEntry | undefined {
    const owner = this.#sessions.get(session);
    if (owner === undefined || !owner.live || this.#away) return undefined;
    if (this.#full) {
      this.#world.history.note('fault', 'write on a full store', owner.who);
      return undefined;
    }
    return this.#append(owner.who, ops);
  }

  #append(who: string, ops: readonly TreeOp[]): LogEntry {
    this.#zxid += 1;
    const result = this.agreed.apply(this.#zxid, ops);
    const entry: LogEntry = { zxid: this.#zxid, who, ops, result };
    const outcome = result.ok ? '' : ` REFUSED ${result.path}: ${result.reason}`;
    this.#world.history.note(who, 'commit', `${JSON.stringify(ops)}${outcome}`, () => show(entry));
    for (const server of this.servers) server.receive(entry);
    for (const listener of this.#onCommit) listener(entry);
    return entry;
  }

  /** A read is served that sees everything up to `zxid`. */
  noteRead(who: string, zxid: number): void {
    if (zxid < this.#zxid) this.#world.history.note('lag', 'read of the past', who);
  }

  /** Whether a client is there to keep the session alive. */
  hold(id: number, held: boolean): void {
    const session = this.#sessions.get(id);
    if (session === undefined || !session.live || session.held === held) return;
    session.held = held;
    session.turn += 1;
    if (!held) this.#expireLater(id, session);
  }

  #expireLater(id: number, session: Session): void {
    const turn = session.turn;
    this.#world.time.after(session.timeoutMs, () => {
      if (session.turn === turn && !this.#away) this.close(id, 'expired');
    });
  }

  /** Ends a session and removes what it owned. */
  close(id: number, why: string): void {
    const session = this.#sessions.get(id);
    if (session === undefined || !session.live) return;
    session.live = false;
    const owned = this.agreed.ownedBy(id);
    this.#world.history.note('zookeeper', 'session', `${session.who} ${id} ${why}`);
    this.#append(
      session.who,
      owned.map((path) => ({ kind: 'remove', path, version: -1 })),
    );
  }

  /** The servers have no room to write: they hang up on whoever tries, and answer reads. */
  fill(durationMs: number): void {
    if (this.#full) return;
    this.#full = true;
    this.#world.history.note('fault', 'store full', `${durationMs} ms`);
    this.#world.time.after(durationMs, () => {
      this.#full = false;
      this.#world.history.note('heals', 'store', 'has room again');
    });
  }

  /** No server answers for a while; sessions start their time anew with the new leader. */
  outage(durationMs: number): void {
    if (this.#away) return;
    this.#away = true;
    this.#world.history.note('fault', 'store outage', `${durationMs} ms`);
    for (const listener of this.#onOutage) listener();
    this.#world.time.after(durationMs, () => {
      this.#away = false;
      this.#world.history.note('heals', 'store', 'back');
      for (const [id, session] of this.#sessions) {
        if (!session.live || session.held) continue;
        session.turn += 1;
        this.#expireLater(id, session);
      }
    });
  }
}

function show(entry: LogEntry): string {
  const refused = entry.result.ok ? '' : `  REFUSED: ${entry.result.path} ${entry.result.reason}`;
  return `#${entry.zxid} ${entry.ops.map(showOp).join(', ')}${refused}`;
}

function showOp(op: TreeOp): string {
  if (op.kind === 'create') return `create ${op.path}${showState(op.data)}`;
  if (op.kind === 'set') return `set ${op.path}@${op.version}${showState(op.data)}`;
  return `${op.kind} ${op.path}@${op.version}`;
}

/** The part of a record that a reader of the time line looks for. */
function showState(data: string): string {
  const fields = ['state', 'epoch', 'worker', 'session', 'counter', 'attempt'].flatMap((name) => {
    const found = new RegExp(`"${name}":("[^"]*"|[0-9]+)`).exec(data);
    return found?.[1] === undefined ? [] : [`${name}=${found[1].replaceAll('"', '')}`];
  });
  return fields.length === 0 ? '' : ` (${fields.join(' ')})`;
}
