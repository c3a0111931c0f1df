import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReconcileRecord } from '#proto/records.ts';
import type { Versioned } from '#runtime/store/ops.ts';
import { decide as admin } from '../../functions/admin/decide.ts';
import { decide as failures } from '../../functions/failures/decide.ts';
import type { Heard } from '../../functions/shared/heard.ts';
import { type UpdatesState, decide as updates } from '../../functions/updates/decide.ts';
import {
  answer,
  brief,
  byId,
  fleet,
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

/** The hold spans updates, failures and admin: what sets it, what obeys it, what a release settles. */
function round(over: Partial<ReconcileRecord> = {}): Versioned<ReconcileRecord> {
  return read(paths.reconcile, {
    v: 1,
    op: 'before',
    epoch: 7,
    attempt: 1,
    implicitDue: 0,
    asked: 20,
    lost: 5,
    missed: 0,
    released: false,
    ...over,
  });
}

function heard(over: Partial<UpdatesState>, ...events: readonly Heard[]) {
  const state: UpdatesState = {
    paths,
    framework: framework(),
    spec: spec(),
    reconcile: round(),
    counter: 10,
    workers: new Map(),
    killedAt: new Map(),
    ...over,
  };
  return updates(state, events, moment());
}

const doubted = worker(1, { state: 'unreachable', doubts: 1, due: now });
const unknown: Heard = {
  kind: 'update',
  epoch: 7,
  sequence: 9,
  status: answer('taskmanager-00001', 'TASK_UNKNOWN'),
};
const release: Heard = { kind: 'command', id: 'c1', name: 'release-hold', body: '{}' };

function released(held: NonNullable<ReturnType<typeof framework>['value']['held']>) {
  return admin(
    {
      paths,
      framework: framework({ held }),
      spec: spec(),
      reconcile: round(),
      fleet: fleet(10),
      applied: new Map(),
      workers: new Map(),
      outdated: [],
    },
    [release],
    moment(),
  ).writes;
}

test('hold: after a release the same epoch believes what Mesos says of lost workers', () => {
  const held = heard({ workers: byId(doubted) }, unknown);
  assert.ok(written(held.writes, paths.framework).held);
  const record = written(released({ since: now, why: 'x' }), paths.reconcile);
  assert.deepEqual([record.lost, record.released], [0, true]);
  const after = heard({ workers: byId(doubted), reconcile: round({ released: true }) }, unknown);
  assert.equal(written(after.writes, doubted.path).state, 'ended');
});

test('hold: a release raises the counter to the highest id that lives, so that none is given twice', () => {
  const event: Heard = {
    kind: 'update',
    epoch: 7,
    status: status('taskmanager-00044', 'TASK_RUNNING'),
  };
  const held = written(heard({}, event).writes, paths.framework).held as { highest?: number };
  assert.equal(held.highest, 44);
  const writes = released({ since: now, why: 'x', highest: 44 });
  assert.equal(written(writes, paths.fleet).counter, 44);
  assert.ok(!brief(released({ since: now, why: 'x' })).includes('set fleet'));
});

test('hold: without the driver a doubted worker is only asked about, never stopped by its grace', () => {
  const { effects } = failures(
    {
      paths,
      framework: framework(),
      spec: spec({ demand: { mode: 'fixed', target: 1 } }),
      launches: undefined,
      agents: new Map(),
      workers: [
        worker(1, { state: 'unreachable', doubts: 1, due: now, times: { unreachable: 0 } }),
      ],
    },
    [],
    moment(),
  );
  assert.deepEqual(
    effects.map((effect) => effect.kind),
    ['reconcile'],
  );
});

test('hold: one answer TASK_UNKNOWN heard twice is no repeated answer', () => {
  const running = worker(1, { state: 'running' });
  const twice = heard({ workers: byId(running) }, unknown, unknown);
  const record = written(twice.writes, running.path);
  assert.deepEqual([record.state, record.doubts], ['unreachable', 1]);
});
