import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TaskStatus } from '#proto/mesos/types.ts';
import { workerStates } from '#proto/records.ts';
import type { Heard } from '../../functions/shared/heard.ts';
import { decide, type UpdatesState } from '../../functions/updates/decide.ts';
import { saidBy, verdicts } from '../../functions/updates/rules/table.ts';
import {
  answer,
  brief,
  byId,
  framework,
  moment,
  now,
  paths,
  read,
  spec,
  status,
  worker,
  written,
} from './built.ts';

const id = 'taskmanager-00001';

function state(over: Partial<UpdatesState> = {}): UpdatesState {
  return {
    paths,
    framework: framework(),
    spec: spec(),
    reconcile: undefined,
    counter: 10,
    workers: new Map(),
    killedAt: new Map(),
    ...over,
  };
}

const update = (one: TaskStatus, epoch = 7): Heard => ({ kind: 'update', epoch, status: one });

function round(asked: number, lost: number): UpdatesState['reconcile'] {
  return read(paths.reconcile, {
    v: 1,
    op: 'before',
    epoch: 7,
    attempt: 1,
    implicitDue: 0,
    asked,
    lost,
    missed: 0,
    released: false,
  });
}

test('updates: a status is stored, and acknowledged after it', () => {
  const running = status(id, 'TASK_RUNNING');
  const { writes, effects } = decide(
    state({ workers: byId(worker(1, { state: 'starting' })) }),
    [update(running)],
    moment(),
  );
  const record = written(writes, paths.worker(id));
  assert.equal(record.state, 'running');
  assert.deepEqual(
    effects.map((effect) => effect.kind),
    ['acknowledge', 'changed'],
  );
});

test('updates: what Mesos repeats is acknowledged again and changes nothing else', () => {
  const running = status(id, 'TASK_RUNNING');
  const { writes, effects } = decide(
    state({ workers: byId(worker(1, { state: 'running' })) }),
    [update(running)],
    moment(),
  );
  assert.equal(written(writes, paths.worker(id)).state, 'running');
  assert.deepEqual(
    effects.map((effect) => effect.kind),
    ['acknowledge'],
  );
});

test('updates: what a master says by itself has no uuid and is not acknowledged', () => {
  const { effects } = decide(
    state({ workers: byId(worker(1, { state: 'running' })) }),
    [update(answer(id, 'TASK_RUNNING'))],
    moment(),
  );
  assert.deepEqual(effects, []);
});

test('updates: the end of a task ends its worker, leaves the index and waits for its acknowledgement', () => {
  const failed = status(id, 'TASK_FAILED', { message: 'Command exited with status 1' });
  const { writes, effects } = decide(
    state({ workers: byId(worker(1, { state: 'running' })) }),
    [update(failed)],
    moment(),
  );
  const record = written(writes, paths.worker(id));
  assert.equal(record.state, 'ended');
  assert.match(String(record.why), /TASK_FAILED, Command exited with status 1/);
  assert.ok(typeof record.unacknowledged === 'string');
  assert.ok(brief(writes).includes(`create leaving/${id}`));
  const acknowledge = effects[0];
  assert.ok(acknowledge?.kind === 'acknowledge' && acknowledge.last);
});

test('updates: several updates of one worker in one batch make one write', () => {
  const { writes } = decide(
    state({ workers: byId(worker(1, { state: 'launching' })) }),
    [update(status(id, 'TASK_STARTING')), update(status(id, 'TASK_RUNNING'))],
    moment(),
  );
  assert.equal(writes.filter((op) => op.kind === 'set').length, 1);
  assert.equal(written(writes, paths.worker(id)).state, 'running');
});

test('updates: a duplicate-id TASK_ERROR never ends the running worker', () => {
  const duplicate = status(id, 'TASK_ERROR', {
    reason: 'REASON_TASK_INVALID',
    source: 'SOURCE_MASTER',
  });
  const running = decide(
    state({ workers: byId(worker(1, { state: 'running' })) }),
    [update(duplicate)],
    moment(),
  );
  assert.equal(written(running.writes, paths.worker(id)).state, 'running');
  const launching = decide(
    state({ workers: byId(worker(1, { state: 'launching' })) }),
    [update(duplicate)],
    moment(),
  );
  assert.equal(written(launching.writes, paths.worker(id)).state, 'ended');
});

test('updates: INVALID_OFFERS ends a worker only while it is launching', () => {
  const gone = answer(id, 'TASK_LOST');
  const invalid = { ...gone, reason: 'REASON_INVALID_OFFERS' as const };
  for (const [before, after] of [
    ['launching', 'ended'],
    ['starting', 'starting'],
    ['running', 'running'],
  ] as const) {
    const { writes } = decide(
      state({ workers: byId(worker(1, { state: before })) }),
      [update(invalid)],
      moment(),
    );
    assert.equal(written(writes, paths.worker(id)).state, after);
  }
});

test('updates: TASK_UNKNOWN by reconciliation is believed when repeated and the master has settled', () => {
  const unknown = update(answer(id, 'TASK_UNKNOWN'));
  const heard = (doubts: number | undefined, masterChangedAt: number): unknown =>
    written(
      decide(
        state({
          framework: framework({ masterChangedAt }),
          workers: byId(worker(1, { state: 'running', doubts })),
        }),
        [unknown],
        moment(),
      ).writes,
      paths.worker(id),
    ).state;
  assert.equal(heard(undefined, 0), 'unreachable');
  assert.equal(heard(1, 0), 'ended');
  assert.equal(heard(1, now - 599_000), 'unreachable');
});

test('updates: a doubted worker that Mesos speaks of again is running again', () => {
  const doubted = worker(1, { state: 'unreachable', doubts: 1, due: now + 1 });
  const { writes } = decide(
    state({ workers: byId(doubted) }),
    [update(answer(id, 'TASK_RUNNING'))],
    moment(),
  );
  const record = written(writes, doubted.path);
  assert.deepEqual([record.state, record.doubts, record.due], ['running', undefined, undefined]);
});

test('updates: a task without a record is killed behind a read barrier, at most once in 10 s', () => {
  const stranger = update(status('taskmanager-00009', 'TASK_RUNNING'));
  const first = decide(state(), [stranger], moment());
  assert.deepEqual(
    first.effects.map((effect) => effect.kind),
    ['kill', 'acknowledge'],
  );
  assert.equal(first.fromAbsence, true);
  const killedAt = new Map([['taskmanager-00009', now - 9999]]);
  const again = decide(state({ killedAt }), [stranger], moment());
  assert.deepEqual(
    again.effects.map((effect) => effect.kind),
    ['acknowledge'],
  );
});

test('updates: the answer TASK_UNKNOWN to a KILL is never answered with a KILL', () => {
  const { effects } = decide(
    state(),
    [update(answer('taskmanager-00009', 'TASK_UNKNOWN'))],
    moment(),
  );
  assert.deepEqual(effects, []);
});

test('updates: a task newer than the id counter shows an old store: held, nothing killed', () => {
  const { writes, effects } = decide(
    state({ counter: 8 }),
    [update(status('taskmanager-00009', 'TASK_RUNNING'))],
    moment(),
  );
  const record = written(writes, paths.framework);
  assert.match(JSON.stringify(record.held), /older than the cluster/);
  assert.deepEqual(
    effects.map((effect) => effect.kind),
    ['acknowledge'],
  );
});

test('updates: a round that would end more than a fifth of the fleet is held instead', () => {
  const workers = Array.from({ length: 6 }, (_, index) =>
    worker(index + 1, { state: 'running', doubts: 1 }),
  );
  const events = workers.map((one) => update(answer(one.value.id, 'TASK_UNKNOWN')));
  const wrong = decide(
    state({ workers: byId(...workers), reconcile: round(20, 0) }),
    events,
    moment(),
  );
  assert.match(JSON.stringify(written(wrong.writes, paths.framework).held), /6 of 20/);
  const right = decide(
    state({ workers: byId(...workers), reconcile: round(100, 0) }),
    events,
    moment(),
  );
  assert.equal(written(right.writes, paths.reconcile).lost, 6);
  assert.ok(!brief(right.writes).includes('set framework'));
});

test('updates: an ended worker whose task is there again is killed', () => {
  const { effects } = decide(
    state({ workers: byId(worker(1, { state: 'ended' })) }),
    [update(answer(id, 'TASK_RUNNING'))],
    moment(),
  );
  assert.deepEqual(
    effects.map((effect) => effect.kind),
    ['kill'],
  );
});

test('updates: a task whose ACCEPT was taken back is stopped, never adopted', () => {
  const { writes, effects } = decide(
    state({ workers: byId(worker(1)) }),
    [update(status(id, 'TASK_STARTING'))],
    moment(),
  );
  const record = written(writes, paths.worker(id));
  assert.deepEqual([record.state, record.agentId], ['stopping', 'a1']);
  assert.ok(effects.some((effect) => effect.kind === 'kill'));
});

test('updates: an update of an older epoch changes nothing', () => {
  const { writes, effects } = decide(
    state({ workers: byId(worker(1, { state: 'launching' })) }),
    [update(status(id, 'TASK_RUNNING'), 6)],
    moment(),
  );
  assert.deepEqual([writes, effects], [[], []]);
});

test('updates: an acknowledged end is noted for forgetting', () => {
  const one = worker(1, { state: 'ended', unacknowledged: 'u1' });
  const event: Heard = { kind: 'acknowledged', worker: id, uuid: 'u1' };
  const { writes } = decide(state({ workers: byId(one) }), [event], moment());
  assert.equal(written(writes, one.path).unacknowledged, undefined);
  const other: Heard = { kind: 'acknowledged', worker: id, uuid: 'u2' };
  assert.deepEqual(decide(state({ workers: byId(one) }), [other], moment()).writes, []);
});

test('updates: an older status that comes late does not replace a newer one', () => {
  const fresh = { state: 'TASK_RUNNING', at: now };
  const one = worker(1, { state: 'running', status: fresh });
  const late = status(id, 'TASK_STARTING', { timestamp: now / 1000 - 5 });
  const { writes } = decide(state({ workers: byId(one) }), [update(late)], moment());
  assert.deepEqual(written(writes, one.path).status, fresh);
});

test('updates: nothing Mesos says ever moves a worker back before where it was', () => {
  const order = ['wanted', 'launching', 'starting', 'running', 'stopping', 'ended'];
  for (const before of workerStates) {
    for (const verdict of Object.values(verdicts[before])) {
      if (!order.includes(verdict) || before === 'unreachable') continue;
      assert.ok(order.indexOf(verdict) > order.indexOf(before), `${before} -> ${verdict}`);
    }
  }
});

test('updates: every state that Mesos knows says something', () => {
  const states = [
    'TASK_STAGING',
    'TASK_STARTING',
    'TASK_RUNNING',
    'TASK_KILLING',
    'TASK_FINISHED',
    'TASK_FAILED',
    'TASK_KILLED',
    'TASK_ERROR',
    'TASK_LOST',
    'TASK_DROPPED',
    'TASK_UNREACHABLE',
    'TASK_GONE',
    'TASK_GONE_BY_OPERATOR',
    'TASK_UNKNOWN',
  ] as const;
  for (const one of states) assert.ok(saidBy(status(id, one)), one);
});
