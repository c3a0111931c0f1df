import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Replay } from './replay.ts';

/** Recordings of a real master, and up to which note this Mesos covers them. */
const recordings: readonly (readonly [string, string?])[] = [
  ['03-accept-edge-cases-json', 'j: LAUNCH_GROUP'],
  ['03b-accept-errors-not-partition-aware'],
  ['04-unacknowledged-json'],
  ['04b-unacknowledged-across-failover'],
  ['05-failover-json'],
  ['10b-offer-timeout-rescind'],
];

for (const [recording, until] of recordings) {
  test(`mesos: the scheduler of ${recording} is answered as by the real master`, () => {
    const replay = new Replay(recording, until).run();
    assert.deepEqual(replay.differences, []);
    assert.ok(replay.matched >= 5, `${replay.matched} events were compared`);
  });
}
