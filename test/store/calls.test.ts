import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient } from 'node-zookeeper-client';
import type { Clock } from '#runtime/clock.ts';
import { Calls } from '#runtime/store/calls.ts';

/** Never connected: what is sent to it stays without an answer. */
const client = createClient('127.0.0.1:1');

const clockAt = (elapsed: () => number): Clock => ({
  now: () => 0,
  elapsed,
  after: () => ({ cancel: () => undefined }),
});

test('store: a call without an answer ends at its deadline, though the connection lives', async () => {
  let now = 1000;
  const calls = new Calls(
    clockAt(() => now),
    () => {
      throw new Error('nothing was answered');
    },
  );
  const path = '/a';
  const read = calls.send(client, { kind: 'read', verb: 'read', path }, 500, () => undefined);
  const write = calls.send(client, { kind: 'write', verb: 'commit', path }, 600, () => undefined);
  now = 1499;
  calls.failOverdue();
  now = 1500;
  calls.failOverdue();
  await assert.rejects(read, { code: 'DREY_STORE_UNAVAILABLE', message: /500 ms/ });
  now = 1600;
  calls.failOverdue();
  await assert.rejects(write, { code: 'DREY_STORE_OUTCOME_UNKNOWN', applied: 'unknown' });
});

test('store: more calls than can be waited for are refused, certainly not sent', async () => {
  let sent = 0;
  const calls = new Calls(
    clockAt(() => 0),
    () => undefined,
  );
  const facts = { kind: 'write', verb: 'commit', path: '/a' } as const;
  const under = Array.from({ length: 16_384 }, () =>
    calls.send(client, facts, 1000, () => {
      sent += 1;
    }),
  );
  await assert.rejects(
    calls.send(client, facts, 1000, () => {
      sent += 1;
    }),
    { code: 'DREY_STORE_UNAVAILABLE', applied: 'no' },
  );
  assert.equal(sent, 16_384);
  calls.failAll('the store was closed');
  const outcomes = await Promise.allSettled(under);
  assert.ok(outcomes.every(({ status }) => status === 'rejected'));
});
