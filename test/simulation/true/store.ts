import type { Store, StoreOp } from '#runtime/store/store.ts';

/** One client of a ZooKeeper of three servers, and what can happen to its connection. */
export interface Client {
  readonly store: Store;
  /** The connection breaks and comes back at once, to any server. */
  cut(): Promise<void>;
  /** Requests reach the server, answers do not come back, until the client gives the connection up. */
  losesAnswers(): void;
  /** Away until its session has expired, as `other` sees by its ephemeral node; then connected again. */
  expires(held: string, other: Store): Promise<void>;
}

/** A ZooKeeper, simulated or real. Each scenario has a folder of its own. */
export interface StoreWorld {
  /** Every client on another server than the one before. */
  client(): Promise<Client>;
  /** Waits; simulated time goes on meanwhile. */
  finish<T>(promise: Promise<T>): Promise<T>;
  /** Waits until it holds. */
  until(condition: () => boolean, what: string): Promise<void>;
}

/** What it does and what it sees, one thing after the other: the same on every ZooKeeper. */
export interface Scenario {
  readonly name: string;
  readonly run: (world: StoreWorld, folder: string) => Promise<readonly unknown[]>;
  readonly sees: readonly unknown[];
}

const create = (path: string, data = ''): StoreOp => ({ kind: 'create', path, data });
const set = (path: string, version: number, data = ''): StoreOp => ({
  kind: 'set',
  path,
  data,
  version,
});
const remove = (path: string, version: number): StoreOp => ({ kind: 'remove', path, version });
const check = (path: string, version: number): StoreOp => ({ kind: 'check', path, version });

/** `ok`, or the error's code and the path that it names. */
async function outcome(world: StoreWorld, call: Promise<unknown>): Promise<string> {
  return world.finish(
    call.then(
      () => 'ok',
      (error: { code?: string; path?: string }) =>
        [error.code, error.path?.replace(/^\/s\d+/, '')].filter((part) => part).join(' '),
    ),
  );
}

async function seen(world: StoreWorld, store: Store, path: string): Promise<string> {
  const found = await world.finish(store.read(path));
  return found === undefined ? 'none' : `${found.data}@${found.version}`;
}

export const scenarios: readonly Scenario[] = [
  {
    name: 'a version is raised by each write and holds each stale one off',
    run: async (world, at) => {
      const { store } = await world.client();
      const commit = (...ops: StoreOp[]) => outcome(world, store.commit(ops));
      return [
        await commit(create(`${at}/a`, 'x')),
        await commit(create(`${at}/a`, 'y')),
        await commit(set(`${at}/a`, 0, 'y')),
        await commit(set(`${at}/a`, 0, 'z')),
        await seen(world, store, `${at}/a`),
        await commit(remove(`${at}/a`, 0)),
        await commit(remove(`${at}/a`, 1)),
        await commit(remove(`${at}/a`, 1)),
        await commit(create(`${at}/a`, 'again')),
        await seen(world, store, `${at}/a`),
      ];
    },
    sees: [
      'ok',
      'DREY_STALE_RECORD /a',
      'ok',
      'DREY_STALE_RECORD /a',
      'y@1',
      'DREY_STALE_RECORD /a',
      'ok',
      'DREY_STALE_RECORD /a',
      'ok',
      'again@0',
    ],
  },
  {
    name: 'a transaction is applied whole or not at all, each step upon the ones before it',
    run: async (world, at) => {
      const { store } = await world.client();
      const commit = (...ops: StoreOp[]) => outcome(world, store.commit(ops));
      return [
        await commit(create(`${at}/a`), create(`${at}/a/b`), set(`${at}/a`, 0, 'x')),
        await commit(set(`${at}/a`, 1, 'y'), set(`${at}/a`, 2, 'z')),
        await commit(create(`${at}/c`), set(`${at}/a`, 1)),
        await seen(world, store, `${at}/c`),
        await commit(create(`${at}/d/e`)),
        await commit(remove(`${at}/a`, 3), remove(`${at}/a/b`, 0)),
        await commit(check(`${at}/a`, 2), create(`${at}/c`)),
        await commit(check(`${at}/a`, 3), create(`${at}/c`)),
        await commit(check(`${at}/gone`, 0), create(`${at}/f`)),
        await commit(remove(`${at}/a/b`, 0), remove(`${at}/a`, 3), create(`${at}/a`, 'new')),
        await seen(world, store, `${at}/a`),
        await world.finish(store.list(at)),
        await world.finish(store.list(`${at}/nowhere`)),
      ];
    },
    sees: [
      'ok',
      'ok',
      'DREY_STALE_RECORD /a',
      'none',
      'DREY_STALE_RECORD /d/e',
      'DREY_STALE_RECORD /a',
      'DREY_STALE_RECORD /a',
      'ok',
      'DREY_STALE_RECORD /gone',
      'ok',
      'new@0',
      ['a', 'c'],
      [],
    ],
  },
  {
    name: 'ensure makes what is missing, discard removes whatever the version',
    run: async (world, at) => {
      const { store } = await world.client();
      return [
        await outcome(world, store.ensure(`${at}/a/b`)),
        await outcome(world, store.ensure(`${at}/a/b`)),
        await outcome(world, store.discard(`${at}/a`)),
        await outcome(world, store.discard(`${at}/a/b`)),
        await outcome(world, store.discard(`${at}/a/b`)),
        await world.finish(store.list(`${at}/a`)),
      ];
    },
    sees: ['ok', 'ok', 'DREY_STORE_REFUSED', 'ok', 'ok', []],
  },
  {
    name: 'a record that is too large is refused and nothing is written',
    run: async (world, at) => {
      const { store } = await world.client();
      const ops = [create(`${at}/a`), create(`${at}/b`, 'x'.repeat(512 * 1024 + 1))];
      return [
        await outcome(world, store.commit(ops)),
        await seen(world, store, `${at}/a`),
        await outcome(world, store.commit([create(`${at}/c`, 'x'.repeat(512 * 1024))])),
      ];
    },
    sees: ['DREY_STORE_REFUSED', 'none', 'ok'],
  },
  {
    name: 'another server may be behind, and a check in the same session catches up',
    run: async (world, at) => {
      const writer = (await world.client()).store;
      const reader = (await world.client()).store;
      await world.finish(writer.commit([create(`${at}/a`, 'x')]));
      return [
        await seen(world, writer, `${at}/a`),
        await outcome(world, reader.commit([check(at, 0)])),
        await seen(world, reader, `${at}/a`),
        await outcome(world, writer.commit([set(`${at}/a`, 0, 'y')])),
        await outcome(world, reader.commit([check(`${at}/a`, 0)])),
        await seen(world, reader, `${at}/a`),
      ];
    },
    sees: ['x@0', 'ok', 'x@0', 'ok', 'DREY_STALE_RECORD /a', 'y@1'],
  },
  {
    name: 'a watch fires once, for a change, an end, a beginning',
    run: async (world, at) => {
      const { store } = await world.client();
      const other = (await world.client()).store;
      const fired: string[] = [];
      const watch = (path: string) =>
        world.finish(store.watch(path, () => fired.push(path.slice(at.length + 1))));
      await world.finish(other.commit([create(`${at}/a`), create(`${at}/b`)]));
      await world.finish(store.commit([check(at, 0)]));
      const before = [
        (await watch(`${at}/a`))?.version,
        (await watch(`${at}/b`))?.version,
        await watch(`${at}/c`),
      ];
      await world.finish(other.commit([set(`${at}/a`, 0), remove(`${at}/b`, 0)]));
      await world.until(() => fired.length === 2, 'two watches have fired');
      await world.finish(other.commit([set(`${at}/a`, 1), create(`${at}/c`)]));
      await world.until(() => fired.length === 3, 'the third watch has fired');
      await world.finish(other.commit([set(`${at}/a`, 2), set(`${at}/c`, 0)]));
      await world.finish(store.commit([check(at, 0)]));
      return [...before, [...fired].sort()];
    },
    sees: [0, 0, undefined, ['a', 'b', 'c']],
  },
  {
    name: 'ephemeral nodes are counted among their siblings and go with their session',
    run: async (world, at) => {
      const { store } = await world.client();
      const holder = await world.client();
      const make = (who: Store, data: string) =>
        world.finish(who.createEphemeralSequential(`${at}/e-`, data));
      const made = [await make(holder.store, 'one')];
      await world.finish(store.commit([create(`${at}/plain`)]));
      made.push(await make(holder.store, 'two'), await make(store, 'three'));
      await world.finish(store.discard(made[1] ?? ''));
      made.push(await make(holder.store, 'four'));
      const names = made.map((path) => path.slice(at.length + 1));
      const child = await outcome(world, store.commit([create(`${made[2]}/below`)]));
      await world.finish(holder.store.close());
      await world.finish(store.commit([check(at, 0)]));
      return [names, child, await world.finish(store.list(at))];
    },
    sees: [
      ['e-0000000000', 'e-0000000002', 'e-0000000003', 'e-0000000004'],
      'DREY_STORE_REFUSED',
      ['e-0000000003', 'plain'],
    ],
  },
  {
    name: 'a connection that breaks keeps session, ephemerals and watches, and misses no change',
    run: async (world, at) => {
      const client = await world.client();
      const other = (await world.client()).store;
      const states: string[] = [];
      const fired: string[] = [];
      const held = await world.finish(client.store.createEphemeralSequential(`${at}/e-`, ''));
      await world.finish(other.commit([create(`${at}/a`), create(`${at}/b`)]));
      await world.finish(client.store.commit([check(at, 0)]));
      await world.finish(client.store.watch(`${at}/a`, () => fired.push('a')));
      await world.finish(client.store.watch(`${at}/b`, () => fired.push('b')));
      client.store.onSession((state) => states.push(state));
      const back = client.cut();
      await world.finish(other.commit([set(`${at}/a`, 0)]));
      await world.finish(back);
      await world.until(() => fired.length > 0, 'the watch of what was missed has fired');
      await world.finish(other.commit([set(`${at}/b`, 0)]));
      await world.until(() => fired.length > 1, 'the other watch has fired');
      return [states, fired, await seen(world, client.store, held)];
    },
    sees: [['suspended', 'connected'], ['a', 'b'], '@0'],
  },
  {
    name: 'an expired session loses ephemerals and watches, and says so',
    run: async (world, at) => {
      const client = await world.client();
      const other = (await world.client()).store;
      const states: string[] = [];
      const fired: string[] = [];
      const held = await world.finish(client.store.createEphemeralSequential(`${at}/e-`, ''));
      await world.finish(client.store.commit([create(`${at}/a`)]));
      await world.finish(client.store.watch(`${at}/a`, () => fired.push('a')));
      client.store.onSession((state) => states.push(state));
      await world.finish(client.expires(held, other));
      await world.until(() => fired.length > 0, 'the watch has fired');
      await world.finish(other.commit([check(at, 0)]));
      return [states, fired, await seen(world, other, held)];
    },
    sees: [['suspended', 'expired', 'connected'], ['a'], 'none'],
  },
  {
    name: 'a write whose answer is lost is in doubt, a read is not',
    run: async (world, at) => {
      const client = await world.client();
      const other = (await world.client()).store;
      client.losesAnswers();
      const write = outcome(world, client.store.commit([create(`${at}/a`, 'x')]));
      const read = outcome(world, client.store.read(`${at}/a`));
      const both = [await write, await read];
      await world.until(() => client.store.session === 'connected', 'it is connected again');
      await world.finish(other.commit([check(at, 0)]));
      return [...both, await seen(world, other, `${at}/a`)];
    },
    sees: ['DREY_STORE_OUTCOME_UNKNOWN', 'DREY_STORE_UNAVAILABLE', 'x@0'],
  },
];
