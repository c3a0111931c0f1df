import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ClusterSettings } from '#proto/spec.ts';
import { RequestTimeoutError } from '#runtime/errors.ts';
import type { Store } from '#runtime/store/store.ts';
import { until } from '#test/world/until.ts';
import { ground, LimitsCluster } from './limits-world.ts';

/** A function whose store does not answer: the others go on, and what waits for it stays bounded. */
const at = ground();
const recover = { session: 's1', flinkVersion: '2.3.0' };
const confirm = { session: 's1', workers: [] };
/** As many hints as a mailbox holds events, and their bytes. */
const mailboxEvents = 10_000;
const mailboxMebibytes = 64;

/** A store whose reads wait for `open`. */
function gated() {
  const gate = Promise.withResolvers<void>();
  let waiting = 0;
  const hold = (store: Store): Store =>
    new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return async (...words: unknown[]) => {
          waiting += 1;
          await gate.promise;
          return value.apply(target, words);
        };
      },
    });
  return { hold, open: gate.resolve, waits: () => waiting > 0 };
}

/** A cluster whose `demand` waits for the store with its first request in hand. */
async function stalled(t: TestContext, settings: Partial<ClusterSettings> = {}) {
  const c = await LimitsCluster.start(at(), t, settings);
  const { hold, open, waits } = gated();
  t.after(() => open());
  const running = await c.run('demand', { store: hold });
  const first = c.ask(c.subjects.demand('recover'), recover);
  await until(waits, { deadlineMs: 60_000, what: 'demand reads' });
  return { c, running, first, open };
}

/** Gives a hint to the connection; waits while that is full. */
async function published(c: LimitsCluster, hint: Uint8Array): Promise<void> {
  await until(() => c.bus.publish(c.subjects.changed('worker', 'x'), hint), {
    deadlineMs: 60_000,
    what: 'the connection takes more',
  });
}

test('limits: a function that waits for the store delays no other one of the same process', async (t) => {
  const fixed = { demand: { mode: 'fixed', target: 0 } } as const;
  const { c, first, open } = await stalled(t, fixed);
  await c.run('admin');
  const applied = JSON.parse(await c.ask(c.subjects.do('scale'), { workers: 1 }));
  assert.equal(applied.ok, true, applied.message);
  const state = await Promise.race([first, Promise.resolve('still waiting')]);
  assert.equal(state, 'still waiting');
  open();
  assert.match(await first, /drey\.demand is fixed/);
});

test('limits: a mailbox that nobody empties holds so many events, and the function goes on after', async (t) => {
  const { c, running, first, open } = await stalled(t);
  const hint = new TextEncoder().encode('{"id":"x","state":"running","op":"x"}');
  const sent = mailboxEvents + 5000;
  for (let n = 0; n < sent; n += 1) await published(c, hint);
  await until(() => running.dropped() >= sent - mailboxEvents, {
    deadlineMs: 60_000,
    what: 'the rest is dropped',
  });
  assert.equal(running.dropped(), sent - mailboxEvents);
  open();
  await first.catch((error) => assert.ok(error instanceof RequestTimeoutError));
  assert.match(await c.ask(c.subjects.demand('recover'), recover), /"ok"/);
  assert.match(await c.ask(c.subjects.demand('confirm'), confirm), /"ok"/);
});

test('limits: a mailbox that nobody empties holds so many bytes, whatever the size of an event', async (t) => {
  const { c, running, first, open } = await stalled(t);
  const sent = 2 * mailboxMebibytes;
  const state = 'x'.repeat(1_000_000);
  const hint = new TextEncoder().encode(JSON.stringify({ id: 'x', state, op: 'x' }));
  for (let n = 0; n < sent; n += 1) await published(c, hint);
  const dropped = sent - Math.floor((mailboxMebibytes * 1024 * 1024) / hint.byteLength);
  await until(() => running.dropped() >= dropped, { deadlineMs: 60_000, what: 'it is dropped' });
  assert.equal(running.dropped(), dropped);
  open();
  await first.catch((error) => assert.ok(error instanceof RequestTimeoutError));
  assert.match(await c.ask(c.subjects.demand('recover'), recover), /"ok"/);
});
