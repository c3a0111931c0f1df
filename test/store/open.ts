import { systemClock } from '#runtime/clock.ts';
import type { SessionState, Store } from '#runtime/store/store.ts';
import { connectStore, type StoreOptions } from '#runtime/store/zookeeper.ts';
import { until } from '#test/world/until.ts';

/** Short enough for tests, long enough for a busy machine. */
export const sessionTimeoutMs = 3000;

const opened = new Set<Store>();

/** Connects with the sessions of tests. */
export async function open(servers: string, options: Partial<StoreOptions> = {}): Promise<Store> {
  const store = await connectStore({ servers, sessionTimeoutMs, clock: systemClock, ...options });
  opened.add(store);
  return store;
}

/** Closes what a failed test left open, which would keep the process alive. */
export async function closeStores(): Promise<void> {
  await Promise.all([...opened].map((store) => store.close()));
}

/** Keeps all states that the store tells from now on. */
export function statesOf(store: Store): SessionState[] {
  const states: SessionState[] = [];
  store.onSession((state) => states.push(state));
  return states;
}

/** Resolves once the store has this state. */
export async function reaches(store: Store, state: SessionState): Promise<void> {
  await until(() => store.session === state, {
    deadlineMs: 5 * sessionTimeoutMs,
    what: `the session is ${state}`,
    everyMs: 5,
  });
}

/** Stops this whole process's event loop for so long, without using the processor. */
export function blockEventLoop(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}
