import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  explainAgent,
  explainWorker,
  lastDecisions,
  type Picture,
  rememberedFrom,
  status,
  workersOf,
} from '../../functions/explain/decide.ts';
import { framework, now, spec, worker } from './built.ts';

function picture(over: Partial<Picture> = {}): Picture {
  return {
    now,
    framework: framework().value,
    spec: spec().value,
    driver: undefined,
    launches: undefined,
    workers: [],
    setAside: [],
    tick: { at: now, subscribed: true },
    ...over,
  };
}

const lack = {
  at: now,
  function: 'offers',
  about: 'a1',
  why: 'taskmanager-00001 does not fit: cpus short by 0.5 (offered 0.5, wanted 1)',
};

test('explain: the status is one sentence first, then the figures', () => {
  const workers = [worker(1, { state: 'running' }).value, worker(2).value];
  const answer = status(picture({ workers }));
  assert.match(String(answer.sentence), /drey-1 is active: 1 workers running, 1 wait/);
  assert.equal((answer.workers as Record<string, number>).running, 1);
});

test('explain: what was set aside is counted, and said while it is new', () => {
  const one = {
    at: now - 1000,
    function: 'demand',
    copy: 'c1',
    subject: 'drey.test.demand.request',
    what: '',
    why: 'drey.test.demand.request: not JSON',
    more: 4,
  };
  const answer = status(picture({ setAside: [one] }));
  assert.deepEqual(answer.setAside, { count: 5, last: [one] });
  assert.match(
    String(answer.sentence),
    /, 5 messages were set aside, the last by demand: drey\.test\.demand\.request: not JSON$/,
  );
  const old = status(picture({ setAside: [{ ...one, at: now - 3_600_001 }] }));
  assert.doesNotMatch(String(old.sentence), /set aside/);
});

test('explain: a hold is said before anything else, with the way out', () => {
  const held = framework({ held: { since: now, why: 'a wrong master' } }).value;
  const answer = status(picture({ framework: held }));
  assert.match(String(answer.sentence), /^HELD: a wrong master.*admin\.release-hold/);
});

test('explain: a waiting worker names what its last offer lacked', () => {
  const answer = explainWorker(picture({ workers: [worker(1).value] }), 'taskmanager-00001', [
    lack,
  ]);
  assert.match(String(answer.sentence), /taskmanager-00001 waits: .*cpus short by 0\.5/);
});

test('explain: a worker that nobody knows is said to be unknown', () => {
  const answer = explainWorker(picture(), 'taskmanager-00077', []);
  assert.equal(answer.sentence, 'there is no worker taskmanager-00077');
});

test('explain: an agent tells what runs there and what was last decided about its offers', () => {
  const workers = [worker(3, { state: 'running' }).value];
  const answer = explainAgent(undefined, 'a1', picture({ workers }), [lack]);
  assert.match(String(answer.sentence), /runs 1 workers; last decision: .*does not fit/);
  assert.deepEqual(answer.workers, ['taskmanager-00003']);
});

test('explain: before a gateway has led, answers say so instead of failing', () => {
  const nothing = picture({ framework: undefined, spec: undefined });
  assert.equal(status(nothing).sentence, 'no gateway has led this cluster yet');
  assert.deepEqual(workersOf(nothing).workers, []);
  assert.deepEqual(lastDecisions(nothing, [lack]).decisions, [lack]);
});

test('explain: each reason of a line of the decision log is remembered', () => {
  const line = {
    at: now,
    function: 'offers',
    copy: 'c',
    op: 'o',
    heard: [],
    wrote: [],
    effects: [],
    reasons: [
      { about: 'a', why: 'x' },
      { about: 'b', why: 'y' },
    ],
  };
  assert.deepEqual(
    rememberedFrom(line).map(({ about, why }) => [about, why]),
    [
      ['a', 'x'],
      ['b', 'y'],
    ],
  );
});

test('explain: why a worker waits is told: a pause, an outage, an attribute, or no offer', () => {
  const waiting = worker(1).value;
  const sentence = (over: Partial<Picture>, remembered = [lack].slice(1)): string =>
    String(
      explainWorker(picture({ workers: [waiting], ...over }), waiting.id, remembered).sentence,
    );
  const launches = { v: 1 as const, op: '', failures: [], notBefore: now + 500, pauses: 1 };
  assert.match(sentence({ launches }), /launches pause for 500 ms/);
  assert.match(sentence({ tick: undefined }), /no gateway has been heard/);
  assert.match(sentence({ tick: { at: now, subscribed: false } }), /not subscribed to Mesos/);
  assert.match(sentence({}), /no offer has come since/);
  const attribute = { ...lack, why: 'attribute rack is absent, wanted r2' };
  assert.match(sentence({}, [attribute]), /attribute rack is absent/);
});

test('explain: the status says that Mesos is away', () => {
  const answer = status(picture({ tick: { at: now - 60_000, subscribed: true } }));
  assert.match(String(answer.sentence), /no gateway has been heard for some seconds/);
});
