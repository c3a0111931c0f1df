import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkerRecord } from '#proto/records.ts';
import { subjectsOf } from '#proto/subjects.ts';
import type { Bus } from '#runtime/bus/bus.ts';
import { systemClock } from '#runtime/clock.ts';
import { failuresFunction } from '../../functions/failures/handler.ts';
import { MemoryStore } from '../runner/memory-store.ts';
import { framework, now, paths, spec, tick, worker } from './built.ts';

/** Which workers the function loads upon a tick, by their deadlines. */
const bus = { subscribe: () => ({ drain: async () => {} }) } as unknown as Bus;
const subjects = subjectsOf('test');

function put(store: MemoryStore, path: string, value: unknown): void {
  store.records.set(path, { data: JSON.stringify(value), version: 0 });
}

/** A store with these workers, each past its deadline. */
function storeOf(workers: readonly WorkerRecord[]): MemoryStore {
  const store = new MemoryStore();
  put(store, paths.framework, framework().value);
  put(store, paths.spec, spec().value);
  for (const one of workers) {
    put(store, paths.worker(one.id), one);
    put(store, paths.dueAt(now - 1000, one.id), {});
  }
  return store;
}

/** The workers that are loaded upon a tick, and the paths of what could not be read. */
async function loaded(store: MemoryStore, at = now) {
  const clock = { ...systemClock, now: () => at };
  const unread: string[] = [];
  const { load } = failuresFunction({ subjects, paths, store, bus, clock });
  const { workers } = await load(store, [tick()], ({ path }) => void unread.push(path));
  return { ids: workers.map(({ value }) => value.id), unread };
}

test('failures: an agent whose record cannot be read holds up only what counts for it', async () => {
  const store = storeOf([
    worker(1, { state: 'ended', agentId: 'a1' }).value,
    worker(2, { state: 'stopping', agentId: 'a1' }).value,
    worker(3, { state: 'unreachable', agentId: 'a1' }).value,
    worker(4, { state: 'ended', agentId: 'a2' }).value,
  ]);
  store.records.set(paths.agent('a1'), { data: 'no JSON', version: 0 });
  const { ids, unread } = await loaded(store);
  assert.deepEqual(ids, ['taskmanager-00002', 'taskmanager-00003', 'taskmanager-00004']);
  assert.deepEqual(unread, [paths.agent('a1')]);
});

test('failures: a hundred deadlines that nobody can finish keep no other one from its turn', async () => {
  const workers = Array.from({ length: 250 }, (_, n) => worker(n + 1, { state: 'stopping' }).value);
  const store = storeOf(workers);
  const seen = new Set<string>();
  for (let second = 0; second < 3; second++) {
    const { ids } = await loaded(store, now + 1000 * second);
    assert.equal(ids.length, 100);
    for (const id of ids) seen.add(id);
  }
  assert.equal(seen.size, 250);
});
