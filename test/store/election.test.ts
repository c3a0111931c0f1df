import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { type Clock, systemClock } from '#runtime/clock.ts';
import { StoreRefusedError, StoreUnavailableError } from '#runtime/errors.ts';
import { type Candidate, elect } from '#runtime/store/election.ts';
import type { Store } from '#runtime/store/store.ts';
import { startRelay } from '#test/world/relay.ts';
import { until } from '#test/world/until.ts';
import { startZooKeeper, type ZooKeeperWorld } from '#test/world/zookeeper.ts';
import { blockEventLoop, closeStores, open, reaches, sessionTimeoutMs, statesOf } from './open.ts';

let world: ZooKeeperWorld;
let folders = 0;

before(async () => {
  world = await startZooKeeper();
});
after(async () => {
  await closeStores();
  await world.stop();
});

/** One candidate with its own connection, and what it was told. */
interface Runner {
  readonly store: Store;
  readonly candidate: Candidate;
  readonly told: string[];
}

async function run(
  t: TestContext,
  servers: string,
  path: string,
  data: string,
  clock: Clock = systemClock,
): Promise<Runner> {
  const store = await open(servers, { clock });
  const told: string[] = [];
  const candidate = await elect({
    store,
    clock,
    path,
    data,
    onLead: () => told.push('lead'),
    onLose: () => told.push('lose'),
  });
  t.after(async () => {
    await candidate.resign();
    await store.close();
  });
  return { store, candidate, told };
}

function nextFolder(): string {
  folders += 1;
  return `/election/${folders}`;
}

async function leads(runner: Runner, what: string): Promise<void> {
  await until(() => runner.candidate.leads, { deadlineMs: 6 * sessionTimeoutMs, what, everyMs: 5 });
}

test('election: the first candidate leads, the next follows when it resigns', async (t) => {
  const path = nextFolder();
  const a = await run(t, world.servers, path, 'a');
  await leads(a, 'a leads');
  const b = await run(t, world.servers, path, 'b');
  const c = await run(t, world.servers, path, 'c');
  assert.deepEqual([b.candidate.leads, c.candidate.leads], [false, false]);
  await a.candidate.resign();
  assert.equal(a.candidate.leads, false);
  await leads(b, 'b leads');
  assert.equal(c.candidate.leads, false);
  await b.store.close();
  await leads(c, 'c leads');
  assert.deepEqual([a.told, c.told], [['lead', 'lose'], ['lead']]);
  assert.deepEqual(b.told, ['lead', 'lose']);
});

test('election: a candidate in the middle goes, and nobody else leads for it', async (t) => {
  const path = nextFolder();
  const a = await run(t, world.servers, path, 'a');
  const b = await run(t, world.servers, path, 'b');
  const c = await run(t, world.servers, path, 'c');
  await leads(a, 'a leads');
  await b.candidate.resign();
  await until(async () => (await c.store.list(path)).length === 2, {
    deadlineMs: 5000,
    what: 'b is gone',
  });
  assert.equal(c.candidate.leads, false);
  await a.candidate.resign();
  await leads(c, 'c leads');
});

test('election: a leader that hears nothing steps down before its session can end', async (t) => {
  const path = nextFolder();
  const a = await run(t, world.servers, path, 'a');
  const b = await run(t, world.servers, path, 'b');
  await leads(a, 'a leads');
  world.freeze(0);
  const began = Date.now();
  await until(() => !a.candidate.leads, { deadlineMs: sessionTimeoutMs, what: 'a steps down' });
  const tookMs = Date.now() - began;
  await until(() => a.told.includes('lose'), { deadlineMs: 5000, what: 'a is told' });
  world.thaw(0);
  assert.ok(tookMs < sessionTimeoutMs, `after ${tookMs} ms`);
  await until(() => a.candidate.leads || b.candidate.leads, {
    deadlineMs: 4 * sessionTimeoutMs,
    what: 'one leads again',
  });
  assert.ok(!(a.candidate.leads && b.candidate.leads));
});

test("election: a lease is not longer or shorter because somebody sets the machine's clock", async (t) => {
  let setBy = 0;
  const clock = { ...systemClock, now: () => Date.now() + setBy };
  const a = await run(t, world.servers, nextFolder(), 'a', clock);
  await leads(a, 'a leads');
  setBy = 3_600_000;
  assert.ok(a.candidate.leads, 'set forward by an hour');
  world.freeze(0);
  setBy = -3_600_000;
  try {
    await until(() => !a.candidate.leads, {
      deadlineMs: 4 * sessionTimeoutMs,
      what: 'a steps down, its clock set back by an hour',
      everyMs: 5,
    });
  } finally {
    world.thaw(0);
  }
});

test('election: a leader that is cut off is replaced only after it has stepped down', async (t) => {
  const path = nextFolder();
  const relay = await startRelay(world.servers);
  t.after(() => relay.close());
  const a = await run(t, relay.address, path, 'a');
  await leads(a, 'a leads');
  const b = await run(t, world.servers, path, 'b');
  relay.hold();
  let steppedDownAt = 0;
  await until(
    () => {
      if (!a.candidate.leads && steppedDownAt === 0) steppedDownAt = Date.now();
      assert.ok(!(a.candidate.leads && b.candidate.leads), 'two lead');
      return b.candidate.leads;
    },
    { deadlineMs: 4 * sessionTimeoutMs, what: 'b leads', everyMs: 2 },
  );
  assert.ok(Date.now() - steppedDownAt > sessionTimeoutMs / 10, 'with time to spare');
  relay.release();
  await reaches(a.store, 'connected');
  await until(async () => (await b.store.list(path)).length === 2, {
    deadlineMs: 5000,
    what: 'a stands behind b',
  });
  assert.equal(a.candidate.leads, false);
  assert.deepEqual(a.told, ['lead', 'lose']);
  await b.candidate.resign();
  await leads(a, 'a leads again');
});

test('election: a folder that is closed to us at a later try is said and tried again', async (t) => {
  const path = nextFolder();
  const owner = await open(world.servers, { auth: { scheme: 'digest', credential: 'a:b' } });
  await owner.ensure(path);
  await owner.close();
  const store = await open(world.servers);
  await world.kill(0);
  await reaches(store, 'suspended');
  const warned: unknown[] = [];
  const candidate = await elect({
    store,
    clock: systemClock,
    path,
    data: 'a',
    onLead: () => {},
    onLose: () => {},
    log: { info: () => {}, warn: (facts) => warned.push('error' in facts && facts.error) },
  });
  t.after(async () => {
    await candidate.resign();
    await store.close();
  });
  await world.restart(0);
  await until(() => warned.length >= 2, { deadlineMs: 30_000, what: 'it is tried again' });
  assert.ok(warned.every((error) => error instanceof StoreRefusedError));
  assert.equal(candidate.leads, false);
});

test('election: a short loss of the connection does not end the lead', async (t) => {
  const path = nextFolder();
  const relay = await startRelay(world.servers);
  t.after(() => relay.close());
  const a = await run(t, relay.address, path, 'a');
  await run(t, world.servers, path, 'b');
  await leads(a, 'a leads');
  const states = statesOf(a.store);
  relay.cut();
  await until(() => states.includes('connected'), { deadlineMs: 5000, what: 'reconnected' });
  assert.ok(a.candidate.leads);
  assert.deepEqual(a.told, ['lead']);
});

test('election: a create of unknown outcome leaves no second node in the queue', async (t) => {
  const path = nextFolder();
  const relay = await startRelay(world.servers);
  t.after(() => relay.close());
  const store = await open(relay.address);
  const watcher = await open(world.servers);
  await store.ensure(path);
  // From here on the servers do what is asked, but no answer comes: folder, list and create.
  const told: string[] = [];
  const answered = store.createEphemeralSequential;
  store.createEphemeralSequential = async (prefix, data) => {
    store.createEphemeralSequential = answered;
    relay.holdAnswers();
    return await answered.call(store, prefix, data);
  };
  const candidate = await elect({
    store,
    clock: systemClock,
    path,
    data: 'a',
    onLead: () => told.push('lead'),
    onLose: () => told.push('lose'),
  });
  assert.equal((await watcher.list(path)).length, 1, 'the orphan stands in the queue');
  relay.release();
  await until(() => candidate.leads, { deadlineMs: 4 * sessionTimeoutMs, what: 'a leads' });
  assert.equal((await watcher.list(path)).length, 1);
  await candidate.resign();
  assert.deepEqual(await watcher.list(path), []);
  assert.deepEqual(told, ['lead', 'lose']);
  await store.close();
  await watcher.close();
});

test('election: an orphan that turns up later is removed too', async (t) => {
  const path = nextFolder();
  const a = await run(t, world.servers, path, 'a');
  await leads(a, 'a leads');
  // As a create that was sent before and applied after all.
  await a.store.createEphemeralSequential(`${path}/candidate-`, 'a');
  const b = await run(t, world.servers, path, 'b');
  await a.candidate.resign();
  await leads(b, 'b leads');
});

test("election: who removes the leader's node by hand starts a new election", async (t) => {
  const path = nextFolder();
  const a = await run(t, world.servers, path, 'a');
  await leads(a, 'a leads');
  const b = await run(t, world.servers, path, 'b');
  const [first] = await b.store.list(path);
  await b.store.discard(`${path}/${first}`);
  await leads(b, 'b leads');
  await until(() => a.told.includes('lose'), { deadlineMs: 5000, what: 'a is told' });
  assert.equal(a.candidate.leads, false);
  await b.candidate.resign();
  await leads(a, 'a leads again');
});

test('election: a blocked process does not believe that it leads when it wakes', async (t) => {
  const path = nextFolder();
  const a = await run(t, world.servers, path, 'a');
  await leads(a, 'a leads');
  blockEventLoop(sessionTimeoutMs * 1.7);
  assert.equal(a.candidate.leads, false, 'before anything else has run');
  await leads(a, 'a leads again');
  await until(() => a.told.length === 3, { deadlineMs: 5000, what: 'a is told' });
  assert.deepEqual(a.told, ['lead', 'lose', 'lead']);
});

test('election: a process that was blocked for less than its session claims the lead anew', async (t) => {
  const path = nextFolder();
  const a = await run(t, world.servers, path, 'a');
  await leads(a, 'a leads');
  blockEventLoop(sessionTimeoutMs * 0.75);
  assert.equal(a.candidate.leads, false);
  await until(() => a.told.length === 3, { deadlineMs: 2 * sessionTimeoutMs, what: 'a is told' });
  assert.deepEqual(a.told, ['lead', 'lose', 'lead']);
});

test('election: a call that fails on a good connection is made again', async (t) => {
  const store = await open(world.servers);
  t.after(() => store.close());
  const list = store.list;
  store.list = () => {
    store.list = list;
    return Promise.reject(new StoreUnavailableError('throttled'));
  };
  const candidate = await elect({
    store,
    clock: systemClock,
    path: nextFolder(),
    data: 'a',
    onLead: () => undefined,
    onLose: () => undefined,
  });
  await until(() => candidate.leads, { deadlineMs: 5000, what: 'a leads' });
  await candidate.resign();
});

test('election: a stale list that leaves out the leader makes no second one', async (t) => {
  const path = nextFolder();
  const a = await run(t, world.servers, path, 'a');
  await leads(a, 'a leads');
  const [leader] = await a.store.list(path);
  const store = await open(world.servers);
  t.after(() => store.close());
  const list = store.list;
  let stale = 0;
  store.list = async (folder) => {
    const names = await list.call(store, folder);
    stale += 1;
    return stale > 1 ? names : names.filter((name) => name !== leader);
  };
  const told: string[] = [];
  const candidate = await elect({
    store,
    clock: systemClock,
    path,
    data: 'b',
    onLead: () => told.push('lead'),
    onLose: () => told.push('lose'),
  });
  assert.ok(stale > 1);
  assert.deepEqual([candidate.leads, told], [false, []]);
  await candidate.resign();
});

test('election: a stale read of a node that is gone wins no lead', async (t) => {
  const path = nextFolder();
  const store = await open(world.servers);
  t.after(() => store.close());
  const { list, watch, commit, createEphemeralSequential } = store;
  const made: string[] = [];
  let fresh = false;
  store.createEphemeralSequential = async (prefix, data) => {
    made.push(await createEphemeralSequential.call(store, prefix, data));
    return made.at(-1) ?? '';
  };
  // Removed right after it was read, while our server lags: it shows the node until a write brings
  // it up to date.
  store.watch = async (node, listener) => {
    const found = await watch.call(store, node, () => fresh && listener());
    if (!fresh) await store.discard(node);
    return found;
  };
  store.list = (folder) =>
    fresh ? list.call(store, folder) : Promise.resolve([made[0]?.slice(path.length + 1) ?? '']);
  store.commit = (ops) => {
    fresh = true;
    return commit.call(store, ops);
  };
  const ledWith: number[] = [];
  const candidate = await elect({
    store,
    clock: systemClock,
    path,
    data: 'a',
    onLead: () => ledWith.push(made.length),
    onLose: () => undefined,
  });
  await until(() => candidate.leads, { deadlineMs: 5000, what: 'a leads' });
  assert.deepEqual(ledWith, [2], 'with its second node');
  await candidate.resign();
});

test('election: a folder that may not be used is refused at once', async (t) => {
  const owner = await open(world.servers, { auth: { scheme: 'digest', credential: 'a:b' } });
  const path = nextFolder();
  await owner.ensure(`${path}/locked`);
  const stranger = await open(world.servers);
  t.after(() => stranger.close());
  await assert.rejects(
    elect({
      store: stranger,
      clock: systemClock,
      path: `${path}/locked`,
      data: 'a',
      onLead: () => undefined,
      onLose: () => undefined,
    }),
    { code: 'DREY_STORE_REFUSED' },
  );
});

test('election: while the store is away a candidate waits, and enters when it is back', async (t) => {
  const path = nextFolder();
  const store = await open(world.servers);
  await world.kill(0);
  await reaches(store, 'suspended');
  const candidate = await elect({
    store,
    clock: systemClock,
    path,
    data: 'a',
    onLead: () => undefined,
    onLose: () => undefined,
  });
  t.after(() => store.close());
  assert.equal(candidate.leads, false);
  await world.restart(0);
  await until(() => candidate.leads, { deadlineMs: 4 * sessionTimeoutMs, what: 'a leads' });
  await candidate.resign();
});
