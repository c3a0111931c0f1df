import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import type { NoteUnreadable } from '#runtime/store/records.ts';
import { readReadable, readRecord } from '#runtime/store/records.ts';
import type { Store } from '#runtime/store/store.ts';
import { MemoryStore } from './memory-store.ts';
import { type CountEvent, counting, ground, start } from './world.ts';

const at = ground();
const schema = z.object({ v: z.literal(1), op: z.string() });

/** Counts as ever; an event `needs …` needs a record, every event looks at what is listed. */
function reading() {
  const definition = counting();
  return {
    ...definition,
    load: async (store: Store, events: readonly CountEvent[], note: NoteUnreadable) => {
      for (const { id } of events) {
        if (id.startsWith('needs')) await readRecord(store, '/t/needed', schema);
      }
      await readReadable(store, ['/t/listed', '/t/fine'], schema, note);
      return definition.load(store, events, note);
    },
  };
}

test('runner: an event that needs a record which cannot be read is left, the others go on', async () => {
  const store = new MemoryStore();
  store.records.set('/t/needed', { data: '{"v":2,"op":"newer"}', version: 0 });
  store.records.set('/t/listed', { data: 'no JSON', version: 0 });
  const { running, ask, log, aside, bus } = await start(at(), reading(), store);
  const asked = ['a', 'needs it', 'b', 'needs it too', 'c'].map((id) =>
    ask({ kind: 'add', id }, 1500).then(
      () => id,
      (error: Error) => error.name,
    ),
  );
  const missing = 'RequestTimeoutError';
  assert.deepEqual(await Promise.all(asked), ['a', missing, 'b', missing, 'c']);
  const counted = () => [...store.records.keys()].filter((path) => path.startsWith('/t/seen-'));
  assert.deepEqual(counted().toSorted(), ['/t/seen-a', '/t/seen-b', '/t/seen-c']);
  const said = log.lines.filter(({ level }) => level === 'error');
  const paths = said.map(({ facts }) => (facts as { readonly path: string }).path);
  assert.deepEqual(paths.toSorted(), ['/t/listed', '/t/needed'], 'each is told of once');
  store.records.set('/t/needed', { data: '{"v":1,"op":"mended"}', version: 1 });
  await ask({ kind: 'add', id: 'needs it' });
  assert.equal(counted().at(-1), '/t/seen-needs it');
  await running.stop();
  // The server has handed over what was published before.
  await bus.request('$SYS.nobody', new Uint8Array(), { timeoutMs: 2000 }).catch(() => {});
  assert.deepEqual(aside, [], 'nothing was set aside');
});
