import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TickMessage } from '#proto/messages.ts';
import { type AdminState, decide as adminDecide } from '../../functions/admin/decide.ts';
import { type FailuresState, decide as failuresDecide } from '../../functions/failures/decide.ts';
import { decide as jobsDecide } from '../../functions/jobs/decide.ts';
import {
  needsFleet,
  type ReconcileState,
  decide as reconcileDecide,
} from '../../functions/reconcile/decide.ts';
import type { Heard } from '../../functions/shared/heard.ts';
import {
  brief,
  byId,
  framework,
  moment,
  now,
  paths,
  read,
  spec,
  worker,
  written,
} from './built.ts';

function tick(over: Partial<TickMessage> = {}): Heard {
  return {
    kind: 'tick',
    tick: {
      time: now,
      epoch: 7,
      gateway: 'g',
      subscribed: true,
      missed: 0,
      offersAt: 0,
      revivedAt: 0,
      revives: 0,
      suppressed: false,
      lent: 0,
      ...over,
    },
  };
}

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
  const { writes, effects } = failuresDecide(failures({ workers: [one] }), [tick()], moment());
  assert.equal(written(writes, one.path).state, 'launching');
  assert.deepEqual(
    effects.map((effect) => effect.kind),
    ['reconcile'],
  );
});

test('failures: a KILL is repeated until the task has ended', () => {
  const one = worker(1, { state: 'stopping', due: now, kills: 2 });
  const { writes, effects } = failuresDecide(failures({ workers: [one] }), [tick()], moment());
  assert.deepEqual(
    [written(writes, one.path).kills, written(writes, one.path).due],
    [3, now + 5000],
  );
  assert.deepEqual(
    effects.map((effect) => effect.kind),
    ['kill'],
  );
});

test('failures: nothing is killed while held', () => {
  const one = worker(1, { state: 'stopping', due: now });
  const held = framework({ held: { since: 0, why: 'a test' } });
  const { effects } = failuresDecide(
    failures({ workers: [one], framework: held }),
    [tick()],
    moment(),
  );
  assert.deepEqual(effects, []);
});

test('failures: with the driver an unreachable worker is left to Flink, without it it is replaced', () => {
  const one = worker(1, {
    state: 'unreachable',
    due: now,
    times: { wanted: 0, unreachable: now - 60_000 },
  });
  const driver = failuresDecide(failures({ workers: [one] }), [tick()], moment());
  assert.deepEqual(
    driver.effects.map((effect) => effect.kind),
    ['reconcile'],
  );
  const fixed = failuresDecide(
    failures({ workers: [one], spec: spec({ demand: { mode: 'fixed', target: 1 } }) }),
    [tick()],
    moment(),
  );
  assert.equal(written(fixed.writes, one.path).state, 'stopping');
});

test('failures: each failed launch counts once, and its agent is avoided', () => {
  const hint: Heard = { kind: 'changed', record: 'worker', id: 'x', state: 'ended' };
  const first = failuresDecide(failures({ workers: [broken(1)] }), [hint], moment());
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
  const again = failuresDecide(failures({ workers: [broken(1)], launches }), [hint], moment());
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
      failuresDecide(
        failures({ workers: [broken(1)], launches: launches(pauses) }),
        [tick()],
        moment(),
      ).writes,
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
    failuresDecide(failures({ workers: [early(ranMs)] }), [tick()], moment()).writes.length > 0;
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
  const { writes } = failuresDecide(
    failures({ workers: [withdrawn, released] }),
    [tick()],
    moment(),
  );
  assert.deepEqual(writes, []);
});

test('failures: an ended worker is forgotten when its end is confirmed and acknowledged', () => {
  const forget = (confirmed: boolean, unacknowledged: string | undefined): string[] =>
    brief(
      failuresDecide(
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
  const { effects, writes } = reconcileDecide(reconcile({ workers }), [subscribed], moment());
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
  const more = reconcileDecide(
    reconcile({ reconcile: round, workers: silent }),
    [tick()],
    moment(),
  );
  assert.equal(written(more.writes, paths.reconcile).explicitDue, now + 8800);
  const answered = [worker(1, { state: 'running', spoke: 7 })];
  const done = reconcileDecide(
    reconcile({ reconcile: round, workers: answered }),
    [tick()],
    moment(),
  );
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
  const { effects, writes } = reconcileDecide(
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
    reconcileDecide(
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
  const { writes } = reconcileDecide(
    reconcile({ framework: framework({ firstEpoch: 8, epoch: 8 }), workers }),
    [{ ...subscribed, epoch: 8 }],
    moment(),
  );
  assert.equal(written(writes, paths.worker('taskmanager-00001')).state, 'ended');
});

test('jobs: a session that was taken over meanwhile cannot end the cluster of the next one', () => {
  const value = { v: 1 as const, op: '', session: 's1', past: [], flinkVersion: '', at: 0 };
  const { writes } = jobsDecide(
    { framework: framework(), driver: read(paths.driver, value), remains: [] },
    [
      {
        kind: 'demand',
        verb: 'deregister',
        session: 's1',
        status: 'SUCCEEDED',
        diagnostics: '',
      },
    ],
    moment(),
  );
  assert.deepEqual(brief(writes), ['set framework', 'check driver']);
});

test('jobs: the end of Flink tears the framework down, then removes the records, then ends', () => {
  const deregister: Heard = {
    kind: 'demand',
    verb: 'deregister',
    session: 's1',
    status: 'SUCCEEDED',
    diagnostics: '',
  };
  const first = jobsDecide(
    { framework: framework(), driver: undefined, remains: [] },
    [deregister],
    moment(),
  );
  assert.equal(written(first.writes, paths.framework).state, 'ending');
  assert.ok(first.effects.some((effect) => effect.kind === 'teardown'));
  const ending = framework({ state: 'ending' });
  const again = jobsDecide(
    { framework: ending, driver: undefined, remains: [] },
    [tick()],
    moment(),
  );
  assert.deepEqual(
    again.effects.map((effect) => effect.kind),
    ['teardown'],
  );
  const removed = framework({ state: 'removed' });
  const node = { path: paths.worker('taskmanager-00001'), version: 2 };
  const sweep = jobsDecide(
    { framework: removed, driver: undefined, remains: [node] },
    [tick()],
    moment(),
  );
  assert.deepEqual(sweep.writes, [{ kind: 'remove', ...node }]);
  const last = jobsDecide(
    { framework: removed, driver: undefined, remains: [] },
    [tick()],
    moment(),
  );
  assert.equal(written(last.writes, paths.framework).state, 'ended');
  assert.equal(last.fromAbsence, true);
});

function admin(over: Partial<AdminState> = {}): AdminState {
  return {
    paths,
    framework: framework(),
    spec: spec({ demand: { mode: 'fixed', target: 1 } }),
    reconcile: undefined,
    fleet: undefined,
    applied: new Map(),
    workers: new Map(),
    outdated: [],
    ...over,
  };
}

const command = (name: string, body: string): Heard => ({
  kind: 'command',
  id: 'c1',
  name,
  body,
  replyTo: 'inbox',
});

function answered(state: AdminState, event: Heard): { ok: boolean; message: string } {
  const { effects } = adminDecide(state, [event], moment());
  const answer = effects.find((effect) => effect.kind === 'answer');
  assert.ok(answer?.kind === 'answer');
  return answer.answer;
}

test('admin: scale sets the target once, a redelivery only answers again', () => {
  const event = command('scale', '{"workers":3}');
  const first = adminDecide(admin(), [event], moment());
  assert.deepEqual(written(first.writes, paths.spec).overrides, { target: 3 });
  const applied = new Map([
    [
      'c1',
      { v: 1 as const, op: '', command: 'scale', at: 0, answer: { ok: true, message: 'done' } },
    ],
  ]);
  const again = adminDecide(admin({ applied }), [event], moment());
  assert.deepEqual(again.writes, []);
  assert.equal(answered(admin({ applied }), event).message, 'done');
});

test('admin: with the driver scale is refused and names the keys that do it', () => {
  const answer = answered(admin({ spec: spec() }), command('scale', '{"workers":3}'));
  assert.equal(answer.ok, false);
  assert.match(answer.message, /slotmanager\.number-of-slots\.min/);
});

test('admin: a malformed or unknown command gets a clear error and changes nothing', () => {
  for (const [name, body, why] of [
    ['scale', 'three', /not JSON/],
    ['scale', '{"workers":-1}', /workers/],
    ['scale', '{"workers":3,"fast":true}', /fast/],
    ['dance', '{}', /no command "dance"/],
    ['stop', '{"worker":"../x"}', /worker/],
  ] as const) {
    const answer = answered(admin(), command(name, body));
    assert.equal(answer.ok, false);
    assert.match(answer.message, why);
    assert.deepEqual(adminDecide(admin(), [command(name, body)], moment()).writes, []);
  }
});

test('admin: stop kills one worker, teardown ends the framework, release-hold lets it go on', () => {
  const one = worker(1, { state: 'running' });
  const stop = adminDecide(
    admin({ workers: byId(one) }),
    [command('stop', '{"worker":"taskmanager-00001"}')],
    moment(),
  );
  assert.equal(written(stop.writes, one.path).state, 'stopping');
  const teardown = adminDecide(admin(), [command('teardown', '{}')], moment());
  assert.equal(written(teardown.writes, paths.framework).state, 'ending');
  const held = framework({ held: { since: 0, why: 'a test' } });
  const release = adminDecide(admin({ framework: held }), [command('release-hold', '')], moment());
  assert.equal(written(release.writes, paths.framework).held, undefined);
});

test('admin: a teardown that names a framework ends no other one', () => {
  const { id } = framework().value;
  const late = command('teardown', '{"framework":"drey-of-yesterday"}');
  assert.deepEqual(adminDecide(admin(), [late], moment()).writes, []);
  assert.match(answered(admin(), late).message, /drey-of-yesterday is not registered any more/);
  const body = JSON.stringify({ framework: id, why: 'Flink ended its cluster' });
  const { writes } = adminDecide(admin(), [command('teardown', body)], moment());
  const { state, result } = written(writes, paths.framework);
  assert.equal(state, 'ending');
  assert.match(JSON.stringify(result), /Flink ended its cluster/);
});
