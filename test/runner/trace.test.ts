import assert from 'node:assert/strict';
import { test } from 'node:test';
import { header } from '#proto/subjects.ts';
import type { Headers } from '#runtime/bus/bus.ts';
import { following } from '#runtime/run/trace.ts';
import { until } from '#test/world/until.ts';
import { MemoryStore } from './memory-store.ts';
import { type CountEvent, counting, ground, paths, start } from './world.ts';

const at = ground();
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const parent = `00-${traceId}-00f067aa0ba902b7-01`;
/** The trace's id and flags, with an id that is not the parent's. */
const child = new RegExp(`^00-${traceId}-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$`);

test('runner: what follows from a message carries its trace, and so does what follows from that', async () => {
  const performed: { readonly id: string; readonly headers: Headers }[] = [];
  const definition = {
    ...counting(),
    perform: async (id: string, headers: Headers): Promise<readonly CountEvent[]> => {
      performed.push({ id, headers });
      return id === 'first' ? [{ kind: 'own', id: 'second' }] : [];
    },
  };
  const store = new MemoryStore();
  const { running, bus, decisions } = await start(at(), definition, store);
  const body = new TextEncoder().encode(JSON.stringify({ kind: 'add', id: 'first' }));
  bus.publish('count.hint', body, { [header.trace]: parent });
  await until(() => decisions.length === 2, { deadlineMs: 10_000, what: 'both are decided' });
  const [first = '', second = ''] = performed.map(({ headers }) => headers[header.trace]);
  assert.match(first, child);
  assert.match(second, child);
  assert.notEqual(first, '');
  assert.deepEqual(
    decisions.map(({ trace }) => trace),
    [first, second],
  );
  bus.publish('count.hint', new TextEncoder().encode('{"kind":"add","id":"third"}'));
  await until(() => performed.length === 3, { deadlineMs: 10_000, what: 'one without a trace' });
  assert.deepEqual(performed[2]?.headers, {});
  await running.stop();
});

test('runner: the decision log holds which version of each record was read', async () => {
  const store = new MemoryStore();
  const { running, ask, decisions } = await start(at(), counting(), store);
  await ask({ kind: 'add', id: 'a' });
  await ask({ kind: 'add', id: 'b' });
  await until(() => decisions.length === 2, { deadlineMs: 10_000, what: 'both are logged' });
  const of = (id: string, version: number | string) => [
    `${paths.seen(id)}@none`,
    `${paths.counter}@${version}`,
  ];
  assert.deepEqual(
    decisions.map(({ read }) => read),
    [of('a', 'none'), of('b', 0)],
  );
  await running.stop();
});

test('trace: the first of several traces goes on; what is no trace begins none', () => {
  const random = (): number => 0.25;
  assert.deepEqual(following([undefined, parent], random), {
    [header.trace]: `00-${traceId}-4000000040000000-01`,
  });
  assert.deepEqual(following([undefined], random), {});
  assert.deepEqual(following(['00-short-1-01'], random), {});
});
