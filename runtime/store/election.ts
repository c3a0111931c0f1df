import type { Clock, Timer } from '../clock.ts';
import { DreyError, StaleRecordError } from '../errors.ts';
import { inParallel } from './parallel.ts';
import type { StoreLog } from './session.ts';
import type { SessionState, Store, Stored } from './store.ts';

export interface ElectionOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** The folder of the candidates; it is made where it is missing. */
  readonly path: string;
  /** What the candidate's node holds. It must be this candidate's alone: by it our own node is recognised. */
  readonly data: string;
  /** Called each time the lead is won; it may come before `elect` has resolved. */
  readonly onLead: () => void;
  /** Called each time the lead ends: another's turn, no contact for 2/3 of the session, `resign`. */
  readonly onLose: () => void;
  readonly log?: StoreLog;
}

/** One place in the queue for the lead. Resign before the store is closed. */
export interface Candidate {
  /** Asks the clock each time: right before an act that only the leader may do, ask this. */
  readonly leads: boolean;
  /** Gives the lead or the place up for good; without a connection the end of the session does it. */
  resign(): Promise<void>;
}

/**
 * Stands for election: the lowest node of the folder leads, each candidate watches the one before
 * it. Resolves after the first try to enter; where that failed for want of a connection, it is tried
 * again for as long as it takes, whatever the store says then.
 * @throws StoreRefusedError the first try: the folder or the node may not be made.
 */
export async function elect(options: ElectionOptions): Promise<Candidate> {
  const standing = new Standing(options);
  await standing.start();
  return standing;
}

const prefix = 'candidate-';
const readsAtOnce = 16;

class Standing implements Candidate {
  readonly #options: ElectionOptions;
  readonly #store: Store;
  /** Path of our node; undefined while we have none that counts. */
  #own: string | undefined;
  /** The one node that is watched now: our own while we lead, else the one before it. */
  #watched: string | undefined;
  #leading = false;
  /** Until `elect` has resolved: what needs a person is thrown to its caller. */
  #starting = true;
  #resignation: Promise<void> | undefined;
  /** Counts expiries: what was begun in one session must not end in the next. */
  #sessions = 0;
  #due = false;
  #turn: Promise<void> | undefined;
  #lease: Timer | undefined;
  #retry: Timer | undefined;
  #stopListening: (() => void) | undefined;

  constructor(options: ElectionOptions) {
    this.#options = options;
    this.#store = options.store;
  }

  get leads(): boolean {
    return this.#leading && this.#leaseLeftMs > 0;
  }

  async start(): Promise<void> {
    this.#stopListening = this.#store.onSession((state) => this.#onSession(state));
    try {
      await this.#look();
    } finally {
      this.#starting = false;
    }
  }

  resign(): Promise<void> {
    this.#resignation ??= this.#leave();
    return this.#resignation;
  }

  async #leave(): Promise<void> {
    this.#stopListening?.();
    this.#retry?.cancel();
    this.#lose('resigned');
    await this.#turn;
    this.#own = undefined;
    try {
      await this.#discardOurs(await this.#candidates());
    } catch (error) {
      // The node is ephemeral: it goes with the session.
      if (!(error instanceof DreyError)) throw error;
      this.#tell('the place in the election goes with the session', error);
    }
  }

  #onSession(state: SessionState): void {
    if (state === 'expired') {
      this.#sessions += 1;
      this.#own = undefined;
      this.#lose('the session expired');
    }
    if (state === 'connected') void this.#look();
  }

  /** Looks where we stand, once more if that is going on: one look at a time. */
  #look(): Promise<void> {
    this.#due = true;
    this.#turn ??= this.#takeTurns().finally(() => {
      this.#turn = undefined;
    });
    return this.#turn;
  }

  async #takeTurns(): Promise<void> {
    while (this.#due && !this.#resignation) {
      this.#due = false;
      try {
        await this.#step();
      } catch (error) {
        if (!(error instanceof DreyError)) throw error;
        if (error.remedy === 'give-up' && this.#starting) {
          this.#stopListening?.();
          throw error;
        }
        this.#tell('the election is looked at again', error);
        this.#lookLater();
      }
    }
  }

  /** Without a connection there is nothing to try: the session says when it is back. */
  #lookLater(): void {
    this.#retry?.cancel();
    if (this.#store.session !== 'connected' || this.#resignation) return;
    const delayMs = Math.min(1000, this.#store.sessionTimeoutMs / 6);
    this.#retry = this.#options.clock.after(delayMs, () => void this.#look());
  }

  async #step(): Promise<void> {
    if (this.#store.session !== 'connected') return;
    const own = this.#own ?? (await this.#enter());
    if (own === undefined) return;
    const names = await this.#candidates();
    const place = names.indexOf(own.slice(own.lastIndexOf('/') + 1));
    const before = names.slice(0, Math.max(place, 0));
    if (place < 0) this.#reenter('our node is gone');
    // A node of ours from a create of unknown outcome would hold the queue up while we live. It is
    // looked for here, after our own create: what our session made before that is seen by now.
    else if (await this.#discardOurs(before)) this.#due = true;
    else if (place === 0) await this.#claim(own);
    else await this.#waitBehind(before.at(-1) ?? '');
  }

  async #enter(): Promise<string | undefined> {
    const session = this.#sessions;
    const { path, data } = this.#options;
    await this.#store.ensure(path);
    const own = await this.#store.createEphemeralSequential(`${path}/${prefix}`, data);
    if (session !== this.#sessions) {
      this.#due = true;
      return undefined;
    }
    this.#own = own;
    return own;
  }

  async #waitBehind(name: string): Promise<void> {
    this.#lose('another candidate stands before us');
    if (!(await this.#watch(`${this.#options.path}/${name}`))) this.#due = true;
  }

  /** Looks again when the node changes; a node that is watched already is only read. */
  async #watch(path: string): Promise<Stored | undefined> {
    if (this.#watched === path) return this.#store.read(path);
    let fired = false;
    const found = await this.#store.watch(path, () => {
      fired = true;
      if (this.#watched === path) this.#watched = undefined;
      void this.#look();
    });
    if (found && !fired) this.#watched = path;
    return found;
  }

  /** Reads may be stale, so the claim rests on a check that the servers agree on, and a look after it. */
  async #claim(own: string): Promise<void> {
    if (this.#leading) return;
    const session = this.#sessions;
    try {
      const ours = await this.#watch(own);
      if (!ours) return this.#reenter('our node is gone');
      await this.#store.commit([{ kind: 'check', path: own, version: ours.version }]);
    } catch (error) {
      if (error instanceof StaleRecordError) return this.#reenter('our node is gone');
      throw error;
    }
    const [first] = await this.#candidates();
    if (session !== this.#sessions || this.#resignation) return;
    if (own.endsWith(`/${first}`) && this.#leaseLeftMs > 0) this.#lead(own);
    else this.#due = true;
  }

  #lead(own: string): void {
    this.#leading = true;
    this.#options.log?.info({ path: own }, 'won the election');
    this.#armLease();
    queueMicrotask(this.#options.onLead);
  }

  #lose(why: string): void {
    if (!this.#leading) return;
    this.#leading = false;
    this.#lease?.cancel();
    this.#options.log?.warn({ path: this.#options.path, why }, 'lost the election');
    queueMicrotask(this.#options.onLose);
  }

  #reenter(why: string): void {
    this.#own = undefined;
    this.#lose(why);
    this.#due = true;
  }

  /** By our own clock: the servers may end the session long before we can hear of it. */
  #armLease(): void {
    this.#lease = this.#options.clock.after(Math.max(1, this.#leaseLeftMs), () => {
      if (this.#leaseLeftMs > 0) {
        this.#armLease();
        return;
      }
      this.#lose('no contact for 2/3 of the session');
      // The session may be alive after all (a blocked event loop): then the lead is claimed anew.
      void this.#look();
    });
  }

  get #leaseLeftMs(): number {
    const { lastContact, sessionTimeoutMs } = this.#store;
    return lastContact + (sessionTimeoutMs * 2) / 3 - this.#options.clock.elapsed();
  }

  async #candidates(): Promise<readonly string[]> {
    const names = await this.#store.list(this.#options.path);
    return names.filter((name) => name.startsWith(prefix)).sort();
  }

  /** Removes what holds our data but is not our node; tells whether there was any. */
  async #discardOurs(names: readonly string[]): Promise<boolean> {
    const found = await inParallel(names, readsAtOnce, async (name) => {
      const path = `${this.#options.path}/${name}`;
      if (path === this.#own) return false;
      const node = await this.#store.read(path);
      if (node?.data !== this.#options.data) return false;
      await this.#store.discard(path);
      return true;
    });
    return found.includes(true);
  }

  #tell(message: string, error: DreyError): void {
    this.#options.log?.warn({ path: this.#options.path, error }, message);
  }
}
