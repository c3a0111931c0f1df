import type { MasterInfo } from '#proto/mesos/types.ts';
import { StoreUnavailableError } from '#runtime/errors.ts';
import type { Store } from '#runtime/store/store.ts';
import { connectStore, type StoreOptions } from '#runtime/store/zookeeper.ts';
import type { Leader } from './http.ts';
import { UsageError } from './usage.ts';

const pollMs = 200;
const sessionTimeoutMs = 4_000;
const nodePrefix = 'json.info_';

const clock: StoreOptions['clock'] = {
  now: () => Date.now(),
  after: (delayMs, action) => {
    const timer = setTimeout(action, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** `zk://[user:password@]host:port,host:port/path`, taken apart. */
export interface ZooKeeperPlace {
  readonly servers: string;
  readonly path: string;
  readonly auth: StoreOptions['auth'];
}

/** Reads a `zk://` address. @throws UsageError */
export function parseZooKeeper(text: string): ZooKeeperPlace {
  const match = /^zk:\/\/(?:([^@/]+)@)?([^@/]+)(\/[^\s]*[^\s/])$/.exec(text);
  const [, credential, servers, path] = match ?? [];
  if (servers === undefined || path === undefined) {
    throw new UsageError(`'${text}' is not zk://host:port,host:port/path`);
  }
  const auth = credential === undefined ? undefined : { scheme: 'digest', credential };
  return { servers, path, auth };
}

/** A master's part in the election: the lowest of the `json.info_` nodes leads. */
export class Contender {
  leader: Leader = { kind: 'none' };
  readonly #path: string;
  readonly #store: Store;
  readonly #info: MasterInfo;
  readonly #lost: () => void;
  readonly #timer: NodeJS.Timeout;
  #own: string | undefined;
  #busy = false;

  /** `lost` is called when this master led and its session is over: it must not go on. */
  static async join(place: ZooKeeperPlace, info: MasterInfo, lost: () => void): Promise<Contender> {
    const store = await open(place);
    await store.ensure(place.path);
    const contender = new Contender(place.path, store, info, lost);
    await contender.#look();
    return contender;
  }

  private constructor(path: string, store: Store, info: MasterInfo, lost: () => void) {
    this.#path = path;
    this.#store = store;
    this.#info = info;
    this.#lost = lost;
    store.onSession((state) => {
      if (state === 'expired') this.#expired();
    });
    this.#timer = setInterval(() => void this.#look(), pollMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#store.close();
  }

  #expired(): void {
    const led = this.leader.kind === 'self';
    this.#own = undefined;
    this.leader = { kind: 'none' };
    if (led) this.#lost();
  }

  async #look(): Promise<void> {
    if (this.#busy || this.#store.session !== 'connected') return;
    this.#busy = true;
    try {
      this.#own ??= await this.#store.createEphemeralSequential(
        `${this.#path}/${nodePrefix}`,
        JSON.stringify(this.#info),
      );
      const first = await lowest(this.#store, this.#path);
      if (first === undefined) this.leader = { kind: 'none' };
      else if (first.path === this.#own) this.leader = { kind: 'self' };
      else this.leader = { kind: 'other', address: `${first.host}:${first.port}` };
    } catch (error) {
      // Contact was lost in between; the session's end, if it comes, is told by itself.
      if (!(error instanceof StoreUnavailableError)) throw error;
    } finally {
      this.#busy = false;
    }
  }
}

/** Where the leading master is, for an agent that is to find it. */
export async function followLeader(
  place: ZooKeeperPlace,
): Promise<() => Promise<{ readonly host: string; readonly port: number } | undefined>> {
  const store = await open(place);
  return async () => {
    if (store.session !== 'connected') return undefined;
    return lowest(store, place.path);
  };
}

function open(place: ZooKeeperPlace): Promise<Store> {
  const { servers, auth } = place;
  const credential = auth === undefined ? {} : { auth };
  return connectStore({ servers, sessionTimeoutMs, clock, ...credential });
}

interface LeaderNode {
  readonly path: string;
  readonly host: string;
  readonly port: number;
}

async function lowest(store: Store, path: string): Promise<LeaderNode | undefined> {
  const names = await store.list(path);
  const name = names.filter((one) => one.startsWith(nodePrefix)).sort()[0];
  if (name === undefined) return undefined;
  const node = await store.read(`${path}/${name}`);
  if (node === undefined) return undefined;
  const info = JSON.parse(node.data) as MasterInfo;
  const host = info.address?.ip ?? info.hostname;
  return host === undefined ? undefined : { path: node.path, host, port: info.port };
}
