import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide, needsFleet, type ReconcileState } from '../../functions/reconcile/decide.ts';
import type { Heard } from '../../functions/shared/heard.ts';
import { framework, moment, now, paths, read, spec, tick, worker, written } from './built.ts';

function reconcile(over: Partial<ReconcileState> = {}): ReconcileState {
  return {
    paths,
    framework: framework(),
    spec: spec(),
    reconcile: undefined,
    workers: undefined,
    ...over,
  };
}

const subscribed: Heard = { kind: 'subscribed', epoch: 7, masterId: 'm1' };

test('reconcile: a new epoch asks in batches about every worker not spoken of in it', () => {
  const workers = [
    worker(1, { state: 'running', spoke: 6 }),
    worker(2, { state: 'running', spoke: 7 }),
    worker(3, { state: 'launching', spoke: 5 }),
    worker(4),
    worker(5, { state: 'stopping', spoke: 6 }),
  ];
  const { effects, writes } = decide(reconcile({ workers }), [subscribed], moment());
  assert.deepEqual(
    effects.flatMap((effect) =>
      effect.kind === 'reconcile' ? [effect.tasks.map((task) => task.taskId)] : [],
    ),
    [['taskmanager-00001', 'taskmanager-00003'], ['taskmanager-00005']],
  );
  const record = written(writes, paths.reconcile);
  assert.deepEqual([record.epoch, record.attempt, record.asked], [7, 1, 3]);
  assert.equal(record.explicitDue, now + 1100);
});

test('reconcile: rounds go on with growing pauses until each worker has answered', () => {
  const before = {
    v: 1 as const,
    op: '',
    epoch: 7,
    attempt: 3,
    explicitDue: now,
    implicitDue: now + 1,
    asked: 1,
    lost: 0,
    missed: 0,
    released: false,
  };
  const round = read(paths.reconcile, before);
  const silent = [worker(1, { state: 'running', spoke: 6 })];
  const more = decide(reconcile({ reconcile: round, workers: silent }), [tick()], moment());
  assert.equal(written(more.writes, paths.reconcile).explicitDue, now + 8800);
  const answered = [worker(1, { state: 'running', spoke: 7 })];
  const done = decide(reconcile({ reconcile: round, workers: answered }), [tick()], moment());
  assert.equal(written(done.writes, paths.reconcile).explicitDue, undefined);
  assert.equal(needsFleet({ ...before, explicitDue: now + 1 }, [tick()], now), false);
});

test('reconcile: an implicit round follows the explicit one and comes back', () => {
  const before = {
    v: 1 as const,
    op: '',
    epoch: 7,
    attempt: 1,
    implicitDue: now,
    asked: 0,
    lost: 0,
    missed: 0,
    released: false,
  };
  const { effects, writes } = decide(
    reconcile({ reconcile: read(paths.reconcile, before) }),
    [tick()],
    moment(),
  );
  assert.deepEqual(
    effects.map((effect) => effect.kind === 'reconcile' && effect.tasks.length),
    [0],
  );
  assert.equal(written(writes, paths.reconcile).implicitDue, now + 900_000);
});

test('reconcile: missed events make rounds over every worker of which nothing newer was heard', () => {
  const before = {
    v: 1 as const,
    op: '',
    epoch: 7,
    attempt: 0,
    implicitDue: now + 1,
    asked: 1,
    lost: 0,
    missed: 0,
    released: false,
  };
  const workers = [
    worker(1, { state: 'running', told: { epoch: 7, sequence: 3 } }),
    worker(2, { state: 'running', told: { epoch: 7, sequence: 5 } }),
    worker(3, { state: 'launching' }),
    worker(4, { state: 'running' }),
  ];
  const decided = (missed: number, at = before) =>
    decide(
      reconcile({ reconcile: read(paths.reconcile, at), workers }),
      [tick({ missed })],
      moment(),
    );
  const { effects, writes } = decided(5);
  assert.deepEqual(
    effects.flatMap((effect) =>
      effect.kind === 'reconcile' ? effect.tasks.map((task) => task.taskId) : [],
    ),
    ['taskmanager-00001', 'taskmanager-00004'],
  );
  assert.equal(written(writes, paths.reconcile).missed, 5);
  assert.deepEqual(decided(5, { ...before, missed: 5 }).effects, [], 'it was seen before');
  assert.equal(needsFleet({ ...before, missed: 4 }, [tick({ missed: 5 })], now), true);
});

test('reconcile: workers of a removed framework have ended with it', () => {
  const workers = [worker(1, { state: 'running' })];
  const { writes } = decide(
    reconcile({ framework: framework({ firstEpoch: 8, epoch: 8 }), workers }),
    [{ ...subscribed, epoch: 8 }],
    moment(),
  );
  assert.equal(written(writes, paths.worker('taskmanager-00001')).state, 'ended');
});
