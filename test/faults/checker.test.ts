import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  commit,
  create,
  evidenceOf,
  fleet,
  framework,
  type History,
  history,
  leaving,
  paths,
  remove,
  running,
  set,
  worker,
} from './built.ts';
import type { Line } from './evidence/transcript.ts';
import type { Change } from './evidence/zookeeper-log.ts';
import { check, laws, lawsOfTheEnd } from './laws/checker.ts';

const all = [...laws, ...lawsOfTheEnd];

/** The call of that type about that task. */
function call({ transcript }: History, type: string, id: string): Line {
  const found = transcript.find(
    (line) => line.call === type && (line.task === id || line.tasks?.includes(id)),
  );
  assert.ok(found, `${type} of ${id}`);
  return found;
}

function commitAt({ commits }: History, at: number): { changes: readonly Change[] } {
  const found = commits.find((one) => one.at === at);
  assert.ok(found, `a commit at ${at}`);
  return found;
}

function drop({ commits }: History, at: number): void {
  commits.splice(
    commits.findIndex((one) => one.at === at),
    1,
  );
}

test('faults: a history in which all laws hold is found so, and each law has looked at something', () => {
  for (const { law, looked, broken } of check(evidenceOf(history()), all)) {
    assert.deepEqual(broken, [], law);
    assert.ok(looked > 0, `${law} looked at nothing`);
  }
});

/** The answer to TEARDOWN was lost: the gateway asks once more, and is told that it is gone. */
function askedAfterTheEnd({ commits, transcript }: History): void {
  commits.push(commit(95, framework(2)));
  transcript.push(
    { at: 96, call: 'TEARDOWN', status: 202, stream: 'S1', framework: 'F' },
    { ...(transcript[0] as Line), at: 97, stream: 'S2' },
    { at: 97, event: 'ERROR', stream: 'S2', message: 'Framework has been removed' },
  );
}

test('faults: to ask whether an ended framework is gone breaks no law', () => {
  const asked = history();
  askedAfterTheEnd(asked);
  const broken = check(evidenceOf(asked), all).flatMap((verdict) => verdict.broken);
  assert.deepEqual(broken, []);
});

const planted: Readonly<Record<string, readonly [law: string, bend: (h: History) => void]>> = {
  'a second ACCEPT names a launched worker': [
    'no worker is launched twice',
    (h) => h.transcript.push({ ...call(h, 'ACCEPT', running), at: 70, offers: ['O3'] }),
  ],
  'the master has launched a worker twice': [
    'no worker is launched twice',
    (h) => Object.assign(h.end.launches, { [running]: 2 }),
  ],
  'ACCEPT goes out before the transaction': [
    'no launch before its transaction',
    (h) => Object.assign(call(h, 'ACCEPT', running), { at: 15 }),
  ],
  'ACCEPT names another offer than was decided': [
    'no launch before its transaction',
    (h) => Object.assign(call(h, 'ACCEPT', running), { offers: ['O7'] }),
  ],
  'an offer is accepted for two workers': [
    'no offer is used twice',
    (h) => Object.assign(call(h, 'ACCEPT', leaving), { offers: ['O1'] }),
  ],
  'a launch of an old epoch goes over a new subscription': [
    'no call after its epoch is over',
    (h) => {
      h.commits.splice(4, 0, commit(25, framework(2)));
      h.transcript.splice(2, 0, { ...(h.transcript[0] as Line), at: 30, stream: 'S2' });
      Object.assign(call(h, 'ACCEPT', leaving), { stream: 'S2' });
    },
  ],
  'a gateway subscribes again in the same epoch': [
    'each subscription has an epoch of its own, and epochs only rise',
    (h) => h.transcript.push({ ...(h.transcript[0] as Line), at: 50, stream: 'S2' }),
  ],
  'an epoch falls': [
    'each subscription has an epoch of its own, and epochs only rise',
    (h) => h.commits.push(commit(95, framework(0))),
  ],
  'a call names another framework': [
    'the framework keeps its id, and an ended one never registers again',
    (h) => Object.assign(call(h, 'KILL', leaving), { framework: 'G' }),
  ],
  'a framework registers after its TEARDOWN': [
    'the framework keeps its id, and an ended one never registers again',
    (h) => {
      askedAfterTheEnd(h);
      h.transcript.push({ at: 98, event: 'SUBSCRIBED', stream: 'S2', framework: 'F' });
    },
  ],
  'an update is acknowledged before it is stored': [
    'no update is acknowledged before it is stored',
    (h) => Object.assign(call(h, 'ACKNOWLEDGE', running), { at: 39 }),
  ],
  'an update is never acknowledged': [
    'no update stays unacknowledged',
    (h) => Object.assign(call(h, 'ACKNOWLEDGE', running), { status: 400 }),
  ],
  'a worker that is wanted is killed': [
    'no KILL of a worker still wanted',
    (h) => Object.assign(call(h, 'KILL', leaving), { at: 55 }),
  ],
  'a running task ends and nobody has asked for it': [
    'no worker is given up without a word of Mesos, and no task ends unasked',
    (h) => Object.assign(call(h, 'KILL', leaving), { at: 78 }),
  ],
  'a worker is given up without a word of Mesos': [
    'no worker is given up without a word of Mesos, and no task ends unasked',
    (h) =>
      h.transcript.splice(
        h.transcript.findIndex(({ state }) => state === 'TASK_KILLED'),
        1,
      ),
  ],
  'a worker goes back': [
    'a worker goes only forward, and its id is given once',
    (h) =>
      h.commits.push(
        commit(95, set(running, { state: 'wanted' }), create(paths.waits(running))),
        commit(96, set(running, { state: 'running' }), remove(paths.waits(running))),
      ),
  ],
  'an id is given again': [
    'a worker goes only forward, and its id is given once',
    (h) => h.commits.push(commit(95, create(paths.worker(leaving), worker(leaving, {})))),
  ],
  'a running worker is forgotten': [
    'a worker goes only forward, and its id is given once',
    (h) => drop(h, 80),
  ],
  'the counter falls': [
    'the counter of ids never falls, and no id is above it',
    (h) => h.commits.push(commit(95, fleet(1))),
  ],
  'a worker is made beyond the counter': [
    'the counter of ids never falls, and no id is above it',
    (h) =>
      Object.assign(commitAt(h, 10).changes[0] ?? {}, { data: '{"v":1,"op":"o","counter":1}' }),
  ],
  'a worker waits outside its index': [
    'every index is in step with its record after each transaction',
    (h) => {
      const made = commitAt(h, 10);
      made.changes = made.changes.filter(({ path }) => path !== paths.waits(running));
    },
  ],
  'an index outlives what it stands for': [
    'every index is in step with its record after each transaction',
    (h) => {
      const launched = commitAt(h, 20);
      launched.changes = launched.changes.filter(({ path }) => path !== paths.waits(running));
    },
  ],
  'a deadline outlives what it stands for': [
    'every index is in step with its record after each transaction',
    (h) => {
      const runs = commitAt(h, 40);
      runs.changes = runs.changes.filter(({ path }) => path !== paths.dueAt(99, running));
    },
  ],
  'a task is lost': [
    'the fleet converges to what is asked: nothing is lost, nothing is left over',
    (h) => h.end.tasks.splice(0),
  ],
  'a task runs without a record': [
    'the fleet converges to what is asked: nothing is lost, nothing is left over',
    (h) => h.end.tasks.push({ id: 'taskmanager-00009', state: 'TASK_RUNNING', agentId: 'A' }),
  ],
  'fewer run than are asked for': [
    'the fleet converges to what is asked: nothing is lost, nothing is left over',
    (h) => Object.assign(h.end, { target: 2 }),
  ],
  'a task runs on another agent than is recorded': [
    'the fleet converges to what is asked: nothing is lost, nothing is left over',
    (h) => Object.assign(h.end.tasks[0] ?? {}, { agentId: 'B' }),
  ],
  'an index is left in the end': [
    'no index is left over in the end',
    (h) => h.commits.push(commit(95, create(paths.waits('taskmanager-00003')))),
  ],
  'the decision log tells of a launch that is not stored': [
    'the decision log tells of no launch that was not decided so',
    (h) => Object.assign(h.decisions[0] ?? {}, { op: 'another' }),
  ],
};

for (const [what, [law, bend]] of Object.entries(planted)) {
  test(`faults: the checker sees when ${what}`, () => {
    const bent = history();
    bend(bent);
    const broken = check(evidenceOf(bent), all).filter((verdict) => verdict.broken.length > 0);
    const names = broken.map((verdict) => verdict.law);
    assert.ok(names.includes(law), `broken are: ${names.join('; ') || 'none'}`);
  });
}
