import type { MasterInfo } from '#proto/mesos/types.ts';
import { systemClock } from '#runtime/clock.ts';
import { DreyError } from '#runtime/errors.ts';
import type { Store } from '#runtime/store/store.ts';
import { connectStore, type StoreOptions } from '#runtime/store/zookeeper.ts';
import type { Leader } from './http.ts';
import { UsageError } from './usage.ts';

const pollMs = 200;
const sessionTimeoutMs = 4_000;
const nodePrefix = 'json.info_';

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

/**
 * A master's part in the election: the lowest of the `json.info_` nodes leads. Its own node is known by
 * what it holds, so that one whose making was never answered is found again.
 */
export class Contender {
  leader: Leader = { kind: 'none' };
  readonly #path: string;
  readonly #store: Store;
  /** With the master's id, which no other master has. */
  readonly #own: string;
  readonly #lost: () => void;
  readonly #timer: NodeJS.Timeout;
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
    this.#own = JSON.stringify(info);
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
    this.leader = { kind: 'none' };
    if (led) this.#lost();
  }

  async #look(): Promise<void> {
    if (this.#busy || this.#store.session !== 'connected') return;
    this.#busy = true;
    try {
      let nodes = await nodesAt(this.#store, this.#path);
      if (!nodes.includes(this.#own)) {
        await this.#store.createEphemeralSequential(`${this.#path}/${nodePrefix}`, this.#own);
        nodes = await nodesAt(this.#store, this.#path);
      }
      const [first] = nodes;
      const address = first === undefined ? undefined : addressIn(first);
      if (first === this.#own) this.leader = { kind: 'self' };
      else if (address === undefined) this.leader = { kind: 'none' };
      else this.leader = { kind: 'other', address: `${address.host}:${address.port}` };
    } catch (error) {
      // Contact was lost in between; the session's end, if it comes, is told by itself.
      if (!(error instanceof DreyError && error.remedy === 'retry')) throw error;
    } finally {
      this.#busy = false;
    }
  }
}

/** Where the leading master is, for an agent that is to find it. */
export async function followLeader(
  place: ZooKeeperPlace,
): Promise<() => Promise<Address | undefined>> {
  const store = await open(place);
  return async () => {
    if (store.session !== 'connected') return undefined;
    const [first] = await nodesAt(store, place.path);
    return first === undefined ? undefined : addressIn(first);
  };
}

function open(place: ZooKeeperPlace): Promise<Store> {
  const { servers, auth } = place;
  const credential = auth === undefined ? {} : { auth };
  return connectStore({ servers, sessionTimeoutMs, clock: systemClock, ...credential });
}

/** What the masters' nodes hold, the lowest first. */
async function nodesAt(store: Store, path: string): Promise<readonly string[]> {
  const names = (await store.list(path)).filter((name) => name.startsWith(nodePrefix)).sort();
  const nodes = await Promise.all(names.map((name) => store.read(`${path}/${name}`)));
  return nodes.flatMap((node) => (node === undefined ? [] : [node.data]));
}

interface Address {
  readonly host: string;
  readonly port: number;
}

function addressIn(node: string): Address | undefined {
  const info = JSON.parse(node) as MasterInfo;
  const host = info.address?.ip ?? info.hostname;
  return host === undefined ? undefined : { host, port: info.port };
}
