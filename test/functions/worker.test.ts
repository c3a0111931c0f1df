import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FrameworkRecord } from '#proto/records.ts';
import { killEffects, killed, mayKill, stopped } from '../../functions/shared/worker.ts';
import { framework, moment, now, settings, worker } from './built.ts';

/** Letting a worker go, as every function does it. */
const ground = (over: Partial<FrameworkRecord> = {}) => ({
  framework: framework(over).value,
  settings: settings(),
  moment: moment(),
});
const held = { since: 0, why: 'a test' };

test('workers: one that was never launched ends at once, and nothing is killed', () => {
  const { next, kills } = stopped(worker(1).value, 'released', ground());
  assert.deepEqual([next.state, next.why, next.times.ended], ['ended', 'released', now]);
  assert.ok((next.due ?? 0) > now, 'its end is counted before it is forgotten');
  assert.deepEqual(kills, []);
});

test('workers: one that was launched is killed, with a deadline for the next KILL', () => {
  const running = worker(1, { state: 'running' }).value;
  const { next, kills } = stopped(running, 'released', ground());
  assert.deepEqual([next.state, next.kills, next.due], ['stopping', 1, now + 5000]);
  assert.deepEqual(kills, [{ taskId: 'taskmanager-00001', agentId: 'a1' }]);
});

test('workers: KILL is repeated with a pause that doubles up to a minute, and never stops', () => {
  const pauses: number[] = [];
  let one = worker(1, { state: 'running' }).value;
  for (let sent = 1; sent <= 2000; sent += 1) {
    const { next, kills } = killed(one, 'released', ground());
    assert.equal(kills.length, 1);
    pauses.push((next.due ?? 0) - now);
    one = next;
  }
  assert.deepEqual(pauses.slice(0, 6), [5000, 10_000, 20_000, 40_000, 60_000, 60_000]);
  assert.equal(pauses.at(-1), 60_000);
});

test('workers: who sets a longer pause than a minute between KILLs gets it', () => {
  const { failures } = settings();
  const rare = settings({ failures: { ...failures, killRepeatMs: 300_000 } });
  const one = worker(1, { state: 'stopping', kills: 3 }).value;
  const { next } = killed(one, 'released', { ...ground(), settings: rare });
  assert.equal(next.due, now + 300_000);
});

test('workers: while held one is let go without a KILL, and none is counted', () => {
  const running = worker(1, { state: 'running' }).value;
  const { next, kills } = stopped(running, 'released', ground({ held }));
  assert.deepEqual([next.state, next.kills, next.due], ['stopping', 0, now + 5000]);
  assert.deepEqual(kills, []);
});

test('workers: nobody kills while held, nor while the cluster ends: TEARDOWN does it whole', () => {
  const may = (over: Partial<FrameworkRecord>) => mayKill(framework(over).value);
  assert.deepEqual(
    [may({}), may({ held }), may({ state: 'ending' }), may({ state: 'removed' })],
    [true, false, false, false],
  );
});

test('workers: no KILL is sent for nobody', () => {
  assert.deepEqual(killEffects(framework().value, []), []);
});
