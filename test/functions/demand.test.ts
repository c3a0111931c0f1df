import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DemandAnswer } from '#proto/messages.ts';
import type { DriverRecord } from '#proto/records.ts';
import type { Decision } from '#runtime/function.ts';
import { decide } from '../../functions/demand/decide.ts';
import type { DemandState } from '../../functions/demand/rules/draft.ts';
import type { Heard, HeardDemand } from '../../functions/shared/heard.ts';
import {
  brief,
  byId,
  fleet,
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

function driver(session = 's1', past: string[] = []): DemandState['driver'] {
  const value: DriverRecord = { v: 1, op: '', session, past, flinkVersion: '2.3.0', at: 0 };
  return read(paths.driver, value);
}

function state(over: Partial<DemandState> = {}): DemandState {
  return {
    paths,
    framework: framework(),
    spec: spec(),
    driver: driver(),
    fleet: fleet(4),
    requests: new Map(),
    workers: new Map(),
    view: undefined,
    leaving: [],
    ...over,
  };
}

const request = (n: number, session = 's1'): HeardDemand => ({
  kind: 'demand',
  verb: 'request',
  session,
  n,
  cpus: 2,
  memMb: 1728,
  slots: 2,
  gpus: 0,
  jvm: '-Xmx1g',
  dynamic: ['a=b'],
});

function answerOf(decision: Decision<unknown>, index = 0): DemandAnswer | undefined {
  return decision.answers?.get(index) as DemandAnswer | undefined;
}

test('demand: a request makes one worker, its request and the counter in one transaction', () => {
  const decision = decide(state(), [request(1)], moment());
  assert.deepEqual(brief(decision.writes), [
    'set fleet',
    'create requests/s1-1',
    'create workers/taskmanager-00005',
    'create waiting/taskmanager-00005',
    'check driver',
  ]);
  assert.deepEqual(answerOf(decision), {
    status: 'ok',
    worker: 'taskmanager-00005',
    state: 'wanted',
  });
  const record = written(decision.writes, paths.worker('taskmanager-00005'));
  assert.equal(record.confirmed, false);
  assert.deepEqual(record.flink, { jvm: '-Xmx1g', dynamic: ['a=b'] });
});

test('demand: a repeated request finds the same worker, also within one batch', () => {
  const twice = decide(state(), [request(1), request(1)], moment());
  assert.equal(answerOf(twice, 1)?.worker, 'taskmanager-00005');
  assert.equal(brief(twice.writes).filter((line) => line.startsWith('create workers')).length, 1);
  const launched = worker(3, { state: 'launching', request: 's1-1' });
  const requests = new Map([['s1-1', { v: 1 as const, op: '', worker: launched.value.id }]]);
  const again = decide(state({ requests, workers: byId(launched) }), [request(1)], moment());
  assert.deepEqual(again.writes, []);
  assert.equal(answerOf(again)?.state, 'launching');
});

test('demand: another session is superseded and changes nothing', () => {
  const decision = decide(state(), [request(1, 's0')], moment());
  assert.deepEqual(decision.writes, []);
  assert.equal(answerOf(decision)?.status, 'superseded');
});

test('demand: the newest session takes over, a past one never again', () => {
  const recover = (session: string): HeardDemand => ({
    kind: 'demand',
    verb: 'recover',
    session,
    flinkVersion: '2.3.0',
  });
  const wanted = worker(1, { request: 's1-1' });
  const running = worker(2, { state: 'running', request: 's1-2' });
  const gone = worker(3, { state: 'stopping', request: 's1-3' });
  const decision = decide(
    state({ workers: byId(wanted, running, gone) }),
    [recover('s2')],
    moment(),
  );
  const record = written(decision.writes, paths.driver);
  assert.deepEqual([record.session, record.past], ['s2', ['s1']]);
  assert.equal(written(decision.writes, wanted.path).state, 'ended');
  assert.deepEqual(answerOf(decision)?.workers, [{ id: running.value.id, state: 'running' }]);
  const old = decide(state({ driver: driver('s2', ['s1']) }), [recover('s1')], moment());
  assert.deepEqual(old.writes, []);
  assert.equal(answerOf(old)?.status, 'superseded');
});

test('demand: releasing a waiting worker ends it in one transaction', () => {
  const one = worker(1, { request: 's1-1' });
  const release: Heard = { kind: 'demand', verb: 'release', session: 's1', worker: one.value.id };
  const { writes, effects } = decide(state({ workers: byId(one) }), [release], moment());
  assert.equal(written(writes, one.path).state, 'ended');
  assert.ok(brief(writes).includes(`remove waiting/${one.value.id}`));
  assert.deepEqual(
    effects.map((effect) => effect.kind),
    ['changed'],
  );
});

test('demand: releasing a running worker kills it, with a deadline for the next KILL', () => {
  const one = worker(1, { state: 'running', request: 's1-1' });
  const release: Heard = { kind: 'demand', verb: 'release', session: 's1', worker: one.value.id };
  const { writes, effects } = decide(state({ workers: byId(one) }), [release], moment());
  const record = written(writes, one.path);
  assert.deepEqual([record.state, record.due], ['stopping', now + 5000]);
  assert.deepEqual(
    effects.map((effect) => effect.kind),
    ['kill', 'changed'],
  );
});

test('demand: a release that overtakes its request makes that request void', () => {
  const release: Heard = { kind: 'demand', verb: 'release', session: 's1', n: 9 };
  const first = decide(state(), [release], moment());
  assert.deepEqual(brief(first.writes), ['create requests/s1-9', 'check driver']);
  const requests = new Map([['s1-9', { v: 1 as const, op: '', worker: '' }]]);
  const late = decide(state({ requests }), [request(9)], moment());
  assert.deepEqual(late.writes, []);
  assert.equal(answerOf(late)?.state, 'ended');
});

test('demand: launched is pushed on the hint, ended on the hint and on every tick until confirmed', () => {
  const launched = worker(1, { state: 'launching', request: 's1-4' });
  const hint = (id: string): Heard => ({ kind: 'changed', record: 'worker', id, state: 'x' });
  const pushed = decide(state({ workers: byId(launched) }), [hint(launched.value.id)], moment());
  assert.deepEqual(pushed.effects, [
    { kind: 'launched', session: 's1', n: 4, worker: launched.value.id },
  ]);
  const ended = worker(2, { state: 'ended', request: 's0-1', why: 'it broke' });
  const leaving = [ended.value.id];
  const told = decide(state({ workers: byId(ended), leaving }), [tick()], moment());
  assert.deepEqual(told.effects, [
    { kind: 'ended', session: 's1', worker: ended.value.id, why: 'it broke' },
  ]);
  const confirm: Heard = { kind: 'demand', verb: 'confirm', session: 's1', workers: leaving };
  const confirmed = decide(state({ workers: byId(ended), leaving }), [confirm, tick()], moment());
  assert.equal(written(confirmed.writes, ended.path).confirmed, true);
  assert.deepEqual(confirmed.effects, []);
});

test('demand: a fixed target makes what is missing, a hundred at a time', () => {
  const fixed = spec({ demand: { mode: 'fixed', target: 250 } });
  const view = { living: ['taskmanager-00004'], waiting: [] };
  const { writes, effects } = decide(
    state({ spec: fixed, view, driver: undefined }),
    [tick()],
    moment(),
  );
  assert.equal(brief(writes).filter((line) => line.startsWith('create workers')).length, 100);
  assert.equal(written(writes, paths.fleet).counter, 104);
  assert.equal(effects.filter((effect) => effect.kind === 'again').length, 1);
});

test('demand: a lower target lets the waiting go first, then the newest', () => {
  const fixed = spec({ demand: { mode: 'fixed', target: 9 } }, { target: 1 });
  const workers = [worker(1, { state: 'running' }), worker(2), worker(3, { state: 'running' })];
  const ids = workers.map((one) => one.value.id);
  const view = { living: ids, waiting: [ids[1] ?? ''] };
  const { writes, effects } = decide(
    state({ spec: fixed, view, driver: undefined, workers: byId(...workers) }),
    [tick()],
    moment(),
  );
  assert.deepEqual(
    [paths.worker(ids[1] ?? ''), paths.worker(ids[2] ?? '')].map((p) => written(writes, p).state),
    ['ended', 'stopping'],
  );
  assert.deepEqual(
    effects.flatMap((effect) => (effect.kind === 'kill' ? effect.tasks : [])),
    [{ taskId: ids[2], agentId: 'a1' }],
  );
});

test('demand: a request while the cluster ends is refused with the reason', () => {
  const decision = decide(
    state({ framework: framework({ state: 'ending' }) }),
    [request(1)],
    moment(),
  );
  assert.deepEqual(decision.writes, []);
  assert.match(answerOf(decision)?.message ?? '', /ending/);
});

test('demand: what earlier sessions still want ends on every tick, however much it is', () => {
  const left = worker(1, { request: 's0-1' });
  const own = worker(2, { request: 's1-1' });
  const { writes } = decide(state({ workers: byId(left, own) }), [tick()], moment());
  assert.equal(written(writes, left.path).state, 'ended');
  assert.ok(!brief(writes).includes('set workers/taskmanager-00002'));
});
