import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BusUnavailableError,
  NoResponderError,
  RequestTimeoutError,
  StoreOutcomeUnknownError,
  StoreUnavailableError,
} from '#runtime/errors.ts';
import { until } from '#test/world/until.ts';
import { MemoryStore } from './memory-store.ts';
import { barrierPath, countIn, counting, ground, paths, start } from './world.ts';

const at = ground();
const soon = { deadlineMs: 10_000 };

test('runner: copies that race for a record count every event once', async () => {
  const store = new MemoryStore();
  const performed: string[] = [];
  const perform = async (id: string) => {
    performed.push(id);
    return [];
  };
  // A turn of the event loop between reading and writing: both copies read the same version.
  store.beforeCommit = () => new Promise((resolve) => setImmediate(resolve));
  const one = await start(at(), counting(perform), store);
  const two = await start(at(), counting(perform), store);
  const ids = Array.from({ length: 300 }, (_, n) => `n${n}`);
  const answers = await Promise.all(ids.map((id) => one.ask({ kind: 'add', id })));
  assert.deepEqual(answers[0], { status: 'ok' });
  assert.equal(await countIn(store), 300);
  assert.deepEqual(performed.toSorted(), ids.toSorted());
  await one.running.stop();
  await two.running.stop();
});

test('runner: the answer of a decision reaches whoever asked', async () => {
  const { running, ask } = await start(at(), counting(), new MemoryStore());
  assert.deepEqual(await ask({ kind: 'add', id: 'answered' }), { at: 0 });
  await running.stop();
});

for (const applied of [true, false]) {
  const how = applied ? 'was applied' : 'was not applied';
  test(`runner: a write in doubt that ${how} is settled, its effect performed once`, async () => {
    const store = new MemoryStore();
    const performed: string[] = [];
    const { running, ask } = await start(
      at(),
      counting(async (id) => {
        performed.push(id);
        return [];
      }),
      store,
    );
    let doubts = 0;
    const doubt = () => {
      doubts += 1;
      if (doubts === 1) throw new StoreOutcomeUnknownError('the connection broke');
    };
    const ofCounter = (ops: readonly { readonly path: string }[]) => {
      if (ops[0]?.path === paths.counter) doubt();
    };
    if (applied) store.afterCommit = ofCounter;
    else store.beforeCommit = ofCounter;
    // Reading back fails as well for a while.
    let away = 2;
    store.beforeRead = (path) => {
      if (path !== barrierPath || away === 0) return;
      away -= 1;
      throw new StoreUnavailableError('still away');
    };
    assert.deepEqual(await ask({ kind: 'add', id: 'x' }), { status: 'ok' });
    assert.equal(await countIn(store), 1);
    assert.deepEqual(performed, ['x']);
    assert.equal(away, 0);
    await running.stop();
  });
}

test('runner: while the store is away requests wait, and are answered when it is back', async () => {
  const store = new MemoryStore();
  const { running, ask, log } = await start(at(), counting(), store);
  let away = true;
  store.beforeRead = () => {
    if (away) throw new StoreUnavailableError('no server');
  };
  const asked = ask({ kind: 'add', id: 'x' });
  await until(() => log.lines.length >= 2, { ...soon, what: 'it was tried again' });
  away = false;
  assert.deepEqual(await asked, { status: 'ok' });
  await running.stop();
});

test('runner: one event that breaks every decision is set aside with its reason, the others go on', async () => {
  const store = new MemoryStore();
  const { running, ask, log } = await start(at(), counting(), store);
  const asked = Array.from({ length: 20 }, (_, n) =>
    ask({ kind: n === 13 ? 'break' : 'add', id: `n${n}` }),
  );
  const answers = await Promise.all(asked);
  assert.deepEqual(answers[13], { status: 'refused', message: 'a broken decision' });
  assert.equal(answers.filter((answer) => JSON.stringify(answer) === '{"status":"ok"}').length, 19);
  assert.equal(await countIn(store), 19);
  const line = log.lines.find(({ sentence }) => sentence.includes('set aside'));
  assert.equal(line?.level, 'error');
  assert.deepEqual(
    { ...line?.facts, error: '' },
    {
      subject: 'count.ask',
      event: 'break n13',
      error: '',
    },
  );
  await running.stop();
});

test('runner: a message that cannot be read is refused and logged, and nothing ends', async () => {
  const { running, ask, log } = await start(at(), counting(), new MemoryStore());
  assert.deepEqual(await ask({ kind: 'nonsense' }), {
    status: 'refused',
    message: 'no such event',
  });
  assert.deepEqual(log.lines[0]?.facts, { subject: 'count.ask', why: 'no such event' });
  assert.deepEqual(await ask({ kind: 'add', id: 'x' }), { status: 'ok' });
  await running.stop();
});

test('runner: what follows from absence is decided again behind a read barrier', async () => {
  const store = new MemoryStore();
  await store.ensure(barrierPath);
  const { running, ask } = await start(at(), counting(), store);
  store.calls.length = 0;
  await ask({ kind: 'absent', id: 'x' });
  assert.deepEqual(store.calls, [
    `read ${paths.seen('x')}`,
    `read ${paths.counter}`,
    `read ${barrierPath}`,
    `check ${barrierPath}`,
    `read ${paths.seen('x')}`,
    `read ${paths.counter}`,
    `create ${paths.counter}`,
    `create ${paths.seen('x')}`,
  ]);
  await running.stop();
});

test('runner: a barrier holds also where its record does not exist yet', async () => {
  const store = new MemoryStore();
  const { running, ask } = await start(at(), counting(), store);
  store.calls.length = 0;
  assert.deepEqual(await ask({ kind: 'absent', id: 'x' }), { status: 'ok' });
  assert.ok(store.calls.includes(`check ${barrierPath}`));
  await running.stop();
});

test('runner: writes too large for one transaction are split by their events', async () => {
  const store = new MemoryStore();
  let heard = 0;
  const counted = counting(undefined, () => {
    heard += 1;
  });
  const { running, ask } = await start(at(), counted, store);
  const events: number[] = [];
  const sizes: number[] = [];
  const hold = Promise.withResolvers<void>();
  store.beforeCommit = (ops) => {
    events.push(ops.length - 1);
    sizes.push(ops.reduce((sum, op) => sum + ('data' in op ? op.data.length : 0), 0));
    return hold.promise;
  };
  const first = ask({ kind: 'large', id: 'first' });
  await until(() => events.length === 1, { ...soon, what: 'the first is being written' });
  const more = Array.from({ length: 100 }, (_, n) => ask({ kind: 'large', id: `n${n}` }, 8000));
  await until(() => heard === 101, { ...soon, what: 'a batch of a megabyte waits' });
  hold.resolve();
  await Promise.all([first, ...more]);
  assert.equal(await countIn(store), 101);
  assert.deepEqual(events, [1, 50, 50]);
  assert.ok(Math.max(...sizes) <= 900_000, `${Math.max(...sizes)} bytes in one transaction`);
  await running.stop();
});

test('runner: an effect that the world refuses leaves the request unanswered, and says so', async () => {
  const store = new MemoryStore();
  let refuse = true;
  const { running, ask, decisions, log } = await start(
    at(),
    counting(async () => {
      if (refuse) throw new BusUnavailableError('nobody there');
      return [];
    }),
    store,
  );
  await assert.rejects(ask({ kind: 'add', id: 'x' }, 300), RequestTimeoutError);
  refuse = false;
  assert.deepEqual(await ask({ kind: 'add', id: 'x' }), { status: 'ok' });
  await until(() => decisions.length === 1, { ...soon, what: 'the decision is told' });
  assert.deepEqual(decisions[0]?.effects, ['performed x (nobody there)']);
  assert.equal(log.lines[0]?.sentence, 'an effect was not performed');
  await running.stop();
});

test('runner: the decision log tells what was heard, written, done, and why', async () => {
  const { running, ask, decisions } = await start(at(), counting(), new MemoryStore());
  await ask({ kind: 'add', id: 'x' });
  await ask({ kind: 'add', id: 'x' });
  await ask({ kind: 'add', id: 'y' });
  await until(() => decisions.length === 2, { ...soon, what: 'two decisions, not three' });
  const [first] = decisions;
  assert.deepEqual(first?.heard, ['add x']);
  assert.deepEqual(first?.wrote, [paths.counter, paths.seen('x')]);
  assert.deepEqual(first?.effects, ['performed x']);
  assert.deepEqual(first?.reasons, [{ about: 'x', why: 'it was not counted' }]);
  assert.match(first?.op ?? '', /^counting-copy\d+-1$/);
  await running.stop();
});

test('runner: what performing an effect brings is heard next by the same copy', async () => {
  const store = new MemoryStore();
  const order: string[] = [];
  const { running, ask } = await start(
    at(),
    counting(async (id) => {
      order.push(id);
      return id === 'x' ? [{ kind: 'own', id: 'echo' }] : [];
    }),
    store,
  );
  await ask({ kind: 'add', id: 'x' });
  await until(() => running.idle(), { ...soon, what: 'nothing waits any more' });
  assert.deepEqual(order, ['x', 'echo']);
  await running.stop();
});

test('runner: stop finishes what was taken and takes nothing more', async () => {
  const store = new MemoryStore();
  const hold = Promise.withResolvers<void>();
  store.beforeCommit = () => hold.promise;
  const { running, ask } = await start(at(), counting(), store);
  const asked = Array.from({ length: 250 }, (_, n) => ask({ kind: 'add', id: `n${n}` }, 8000));
  await until(() => !running.idle(), { ...soon, what: 'it is at work' });
  const settled = Promise.allSettled(asked);
  const stopped = running.stop();
  const late = () =>
    ask({ kind: 'add', id: 'n0' }, 200).then(
      () => false,
      (error) => error instanceof NoResponderError,
    );
  await until(late, { ...soon, what: 'late requests find nobody' });
  hold.resolve();
  await stopped;
  const answers = await settled;
  const answered = answers.filter(({ status }) => status === 'fulfilled').length;
  assert.equal(answered, await countIn(store));
  assert.ok(answered > 0);
});

test('runner: stop ends also while the store is away', async () => {
  const store = new MemoryStore();
  store.beforeRead = () => {
    throw new StoreUnavailableError('no server');
  };
  const { running, ask, log } = await start(at(), counting(), store);
  const asked = assert.rejects(ask({ kind: 'add', id: 'x' }, 500), RequestTimeoutError);
  await until(() => log.lines.length > 0, { ...soon, what: 'it was tried' });
  await running.stop();
  assert.equal(running.idle(), true);
  await asked;
});
