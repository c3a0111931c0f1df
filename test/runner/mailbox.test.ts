import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '#runtime/clock.ts';
import { type Entry, Mailbox } from '#runtime/run/mailbox.ts';

function entry(
  event: string,
  kind: Entry<string>['kind'],
  freshMs = Infinity,
  bytes = 1,
): Entry<string> {
  const nothing = () => {};
  const ways = { answer: nothing, done: nothing, again: nothing };
  const at = { subject: 's', at: 0, trace: undefined, deliveries: 1, failures: 0 };
  return { ...ways, ...at, event, kind, bytes, freshMs };
}

function clockAt(time: { now: number }): Clock {
  return { now: () => time.now, elapsed: () => time.now, after: () => ({ cancel: () => {} }) };
}

const names = (entries: readonly Entry<string>[]) => entries.map(({ event }) => event);

test('mailbox: when it is full hints give way to requests, and both to nothing that is kept', () => {
  const mailbox = new Mailbox<string>(clockAt({ now: 0 }), 3, 100);
  mailbox.put(entry('r1', 'request'));
  mailbox.put(entry('h1', 'hint'));
  mailbox.put(entry('h2', 'hint'));
  mailbox.put(entry('h3', 'hint'));
  mailbox.put(entry('r2', 'request'));
  mailbox.put(entry('r3', 'request'));
  mailbox.put(entry('r4', 'request'));
  mailbox.put(entry('s1', 'stream'));
  assert.equal(mailbox.dropped, 4);
  assert.deepEqual(names(mailbox.take(10)), ['r1', 'r2', 'r3', 's1']);
});

test('mailbox: bytes count as events do, and what was taken leaves its room', () => {
  const mailbox = new Mailbox<string>(clockAt({ now: 0 }), 10, 100);
  mailbox.put(entry('h1', 'hint', Infinity, 40));
  mailbox.put(entry('h2', 'hint', Infinity, 40));
  mailbox.put(entry('h3', 'hint', Infinity, 40));
  mailbox.put(entry('r1', 'request', Infinity, 90));
  mailbox.put(entry('r2', 'request', Infinity, 90));
  mailbox.put(entry('s1', 'stream', Infinity, 90));
  assert.equal(mailbox.dropped, 4);
  assert.deepEqual(names(mailbox.take(10)), ['r1', 's1']);
  mailbox.put(entry('h4', 'hint', Infinity, 100));
  assert.deepEqual(names(mailbox.take(10)), ['h4']);
});

test('mailbox: what says nothing any more is dropped when its turn comes', () => {
  const time = { now: 0 };
  const mailbox = new Mailbox<string>(clockAt(time), 10, 100);
  mailbox.put(entry('old', 'hint', 5));
  mailbox.put(entry('kept', 'stream'));
  time.now = 6;
  assert.deepEqual(names(mailbox.take(1)), ['kept']);
  assert.equal(mailbox.size, 0);
  assert.equal(mailbox.dropped, 1);
});

test('mailbox: what a copy told itself comes first, in its order', () => {
  const mailbox = new Mailbox<string>(clockAt({ now: 0 }), 10, 100);
  mailbox.put(entry('later', 'hint'));
  mailbox.putFirst([entry('one', 'own'), entry('two', 'own')]);
  assert.deepEqual(names(mailbox.take(2)), ['one', 'two']);
  assert.deepEqual(names(mailbox.take(2)), ['later']);
});
