import assert from 'node:assert/strict';
import { History } from '../world/history.ts';
import type { World } from '../world/life.ts';
import { Random } from '../world/random.ts';
import { VirtualTime } from '../world/time.ts';

/** A world of its own, and ways to wait in its time. */
export function simulatedTime(seed: string, deadlineMs: number) {
  const time = new VirtualTime(Date.UTC(2026, 0, 1));
  const world: World = { time, random: new Random(seed), history: new History(time) };
  const until = async (condition: () => boolean, what: string): Promise<void> => {
    await time.run(time.now() + deadlineMs, condition);
    assert.ok(condition(), `not within ${deadlineMs} ms: ${what}`);
  };
  const finish = async <T>(promise: Promise<T>): Promise<T> => {
    let done = false;
    const end = () => {
      done = true;
    };
    promise.then(end, end);
    await until(() => done, 'it ends');
    return promise;
  };
  return { world, finish, until };
}
