import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeJson } from '#proto/messages.ts';
import { subjectsOf } from '#proto/subjects.ts';
import type { Bus, BusMessage } from '#runtime/bus/bus.ts';
import { systemClock } from '#runtime/clock.ts';
import { watchEpochs } from '../../functions/shared/epochs.ts';
import { tick } from './built.ts';

test('functions: an epoch that was counted anew after its records were copied back is not over', async () => {
  let hear = (_: BusMessage): void => assert.fail('nobody listens');
  const bus = {
    subscribe: (_subject: string, _queue: undefined, handle: typeof hear) => {
      hear = handle;
    },
  } as unknown as Bus;
  let now = 0;
  const subjects = subjectsOf('test');
  const epochs = watchEpochs(bus, subjects, { ...systemClock, elapsed: () => now });
  const say = (epoch: number, at: number): void => {
    now = at;
    const data = encodeJson(tick({ epoch }).tick);
    hear({ subject: subjects.tick, data, headers: {} });
  };
  const over = async (epoch: number): Promise<boolean> => {
    const { promise, stop } = epochs.over(epoch);
    const ended = promise.then(() => true);
    const answer = await Promise.race([ended, new Promise((done) => setImmediate(done, false))]);
    stop();
    return answer === true;
  };
  say(7, 0);
  assert.equal(await over(7), false);
  assert.equal(await over(1), true);
  for (let second = 1; second <= 10; second++) {
    say(1, 1000 * second);
    assert.equal(await over(1), true, `after ${second} s`);
  }
  say(1, 11_000);
  assert.equal(await over(1), false, 'it is the present one');
});
