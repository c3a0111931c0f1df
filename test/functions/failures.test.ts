import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide, type FailuresState } from '../../functions/failures/decide.ts';
import type { Heard } from '../../functions/shared/heard.ts';
import {
  brief,
  framework,
  moment,
  now,
  paths,
  read,
  spec,
  tick,
  worker,
  written,
} from './built.ts';

function failures(over: Partial<FailuresState> = {}): FailuresState {
  return {
    paths,
    framework: framework(),
    spec: spec(),
    launches: undefined,
    agents: new Map(),
    workers: [],
    ...over,
  };
}

const broken = (number: number) =>
  worker(number, {
    state: 'ended',
    due: now + 1000,
    status: { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LAUNCH_FAILED', at: now },
  });

test('failures: a worker that Mesos does not speak of after ACCEPT is asked about, not given up', () => {
  const one = worker(1, { state: 'launching', due: now });
  const { writes, effects } = decide(failures({ workers: [one] }), [tick()], moment());
  assert.equal(written(writes, one.path).state, 'launching');
  assert.deepEqual(
    effects.map((effect) => effect.kind),
    ['reconcile'],
  );
});

test('failures: a worker whose offers lapsed before an ACCEPT came waits again', () => {
  const launching = worker(1, { state: 'launching', due: now + 5000, hostname: 'h' });
  const heard = (one: typeof launching, ...offerIds: string[]) =>
    decide(failures({ workers: [one] }), [{ kind: 'lapsed', epoch: 7, offerIds }], moment());
  const { writes, effects } = heard(launching, 'o0', 'o1');
  const record = written(writes, launching.path);
  assert.deepEqual([record.state, record.launch, record.agentId], ['wanted', undefined, undefined]);
  assert.deepEqual(brief(writes).slice(1), [
    `remove due/000000${now + 5000}-taskmanager-00001`,
    'create waiting/taskmanager-00001',
  ]);
  assert.deepEqual(
    effects.map((effect) => effect.kind === 'changed' && effect.state),
    ['wanted'],
  );
  assert.deepEqual(heard(launching, 'o2').writes, [], 'other offers');
  const spokenOf = worker(1, { state: 'launching', status: { state: 'TASK_STAGING', at: now } });
  assert.deepEqual(heard(spokenOf, 'o1').writes, [], 'Mesos has spoken of it');
  assert.deepEqual(heard(worker(1, { state: 'running' }), 'o1').writes, [], 'it runs');
});

test('failures: a KILL is repeated until the task has ended', () => {
  const one = worker(1, { state: 'stopping', due: now, kills: 2 });
  const { writes, effects } = decide(failures({ workers: [one] }), [tick()], moment());
  assert.deepEqual(
    [written(writes, one.path).kills, written(writes, one.path).due],
    [3, now + 20_000],
  );
  assert.deepEqual(
    effects.map((effect) => effect.kind),
    ['kill'],
  );
});

test('failures: nothing is killed while held', () => {
  const one = worker(1, { state: 'stopping', due: now });
  const held = framework({ held: { since: 0, why: 'a test' } });
  const { effects } = decide(failures({ workers: [one], framework: held }), [tick()], moment());
  assert.deepEqual(effects, []);
});

test('failures: with the driver an unreachable worker is left to Flink, without it it is replaced', () => {
  const one = worker(1, {
    state: 'unreachable',
    due: now,
    times: { wanted: 0, unreachable: now - 60_000 },
  });
  const driver = decide(failures({ workers: [one] }), [tick()], moment());
  assert.deepEqual(
    driver.effects.map((effect) => effect.kind),
    ['reconcile'],
  );
  const fixed = decide(
    failures({ workers: [one], spec: spec({ demand: { mode: 'fixed', target: 1 } }) }),
    [tick()],
    moment(),
  );
  assert.equal(written(fixed.writes, one.path).state, 'stopping');
});

test('failures: each failed launch counts once, and its agent is avoided', () => {
  const hint: Heard = { kind: 'changed', record: 'worker', id: 'x', state: 'ended' };
  const first = decide(failures({ workers: [broken(1)] }), [hint], moment());
  assert.equal(written(first.writes, paths.agent('a1')).avoidUntil, now + 10_000);
  const counted = written(first.writes, paths.launches);
  assert.deepEqual(counted.failures, [{ worker: 'taskmanager-00001', at: now - 5000 }]);
  const launches = read(paths.launches, {
    v: 1 as const,
    op: '',
    failures: [{ worker: 'taskmanager-00001', at: now - 5000 }],
    notBefore: 0,
    pauses: 0,
  });
  const again = decide(failures({ workers: [broken(1)], launches }), [hint], moment());
  assert.deepEqual(again.writes, []);
});

test('failures: more failures in a minute than the rate allows pause all launches, longer each time', () => {
  const launches = (pauses: number) =>
    read(paths.launches, {
      v: 1 as const,
      op: '',
      failures: [2, 3, 4].map((n) => ({ worker: `w${n}`, at: now - 10_000 })),
      notBefore: 0,
      pauses,
    });
  const paused = (pauses: number): unknown =>
    written(
      decide(failures({ workers: [broken(1)], launches: launches(pauses) }), [tick()], moment())
        .writes,
      paths.launches,
    ).notBefore;
  assert.deepEqual([paused(0), paused(1), paused(9)], [now + 3000, now + 6000, now + 60_000]);
});

test('failures: a command that fails right after TASK_RUNNING is a failed launch', () => {
  const early = (ranMs: number) =>
    worker(1, {
      state: 'ended',
      times: { wanted: 0, running: now - ranMs, ended: now },
      status: { state: 'TASK_FAILED', message: 'Command exited with status 1', at: now },
    });
  const counted = (ranMs: number): boolean =>
    decide(failures({ workers: [early(ranMs)] }), [tick()], moment()).writes.length > 0;
  assert.deepEqual([counted(3000), counted(19_999), counted(20_000)], [true, true, false]);
});

test('failures: what Mesos or drey withdrew is not a failed launch', () => {
  const withdrawn = worker(1, {
    state: 'ended',
    status: { state: 'TASK_LOST', reason: 'REASON_INVALID_OFFERS', at: now },
  });
  const released = worker(2, {
    state: 'ended',
    times: { wanted: 0, stopping: now - 10, ended: now },
    status: { state: 'TASK_KILLED', reason: 'REASON_TASK_KILLED_DURING_LAUNCH', at: now },
  });
  const { writes } = decide(failures({ workers: [withdrawn, released] }), [tick()], moment());
  assert.deepEqual(writes, []);
});

test('failures: an ended worker is forgotten when its end is confirmed and acknowledged', () => {
  const forget = (confirmed: boolean, unacknowledged: string | undefined): string[] =>
    brief(
      decide(
        failures({
          workers: [
            worker(1, {
              state: 'ended',
              due: now,
              confirmed,
              ...(unacknowledged === undefined ? {} : { unacknowledged }),
            }),
          ],
        }),
        [tick()],
        moment(),
      ).writes,
    );
  assert.deepEqual(forget(true, undefined), [
    'remove workers/taskmanager-00001',
    `remove due/000000${now}-taskmanager-00001`,
    'remove leaving/taskmanager-00001',
  ]);
  assert.ok(!forget(false, undefined).includes('remove workers/taskmanager-00001'));
  assert.ok(!forget(true, 'u').includes('remove workers/taskmanager-00001'));
});
