import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { TickMessage } from '#proto/messages.ts';
import { decide, type OffersState } from '../../functions/offers/decide.ts';
import type { Heard } from '../../functions/shared/heard.ts';

import {
  brief,
  tick as builtTick,
  byId,
  framework,
  moment,
  now,
  offer,
  paths,
  settings,
  spec,
  worker,
  written,
} from './built.ts';

function state(over: Partial<OffersState> = {}): OffersState {
  const waiting = over.waiting ?? [];
  return {
    paths,
    framework: framework(),
    spec: spec(),
    launches: undefined,
    waitingCount: waiting.length,
    waiting,
    agents: new Map(),
    refused: new Map(),
    revivedAt: 0,
    ...over,
  };
}

const offers = (...list: ReturnType<typeof offer>[]): Heard => ({
  kind: 'offers',
  epoch: 7,
  offers: list,
});

const tick = (over: Partial<TickMessage> = {}): Heard =>
  builtTick({ offersAt: now - 500, revivedAt: now - 500, ...over });

test('offers: an offer nobody waits for is declined for five minutes', () => {
  const { effects, writes } = decide(state(), [offers(offer('o1'))], moment());
  assert.deepEqual(writes, []);
  assert.deepEqual(effects, [
    {
      kind: 'decline',
      framework: { id: 'drey-1', epoch: 7 },
      offerIds: ['o1'],
      refuseSeconds: 300,
    },
  ]);
});

test('offers: the first sufficient offer is accepted, the others are declined at once', () => {
  const decision = decide(
    state({ waiting: [worker(1)] }),
    [offers(offer('o1', { cpus: 0.5 }), offer('o2'), offer('o3'))],
    moment(),
  );
  assert.deepEqual(
    decision.effects.map((effect) => effect.kind),
    ['accept', 'changed', 'decline'],
  );
  const [accept, , decline] = decision.effects;
  assert.ok(accept?.kind === 'accept' && decline?.kind === 'decline');
  assert.deepEqual(accept.offerIds, ['o2']);
  assert.equal(accept.tasks[0]?.task_id.value, 'taskmanager-00001');
  assert.deepEqual(decline.offerIds, ['o1', 'o3']);
  assert.equal(decline.refuseSeconds, 5);
  assert.deepEqual(brief(decision.writes), [
    'check framework',
    'set workers/taskmanager-00001',
    'remove waiting/taskmanager-00001',
    `create due/000000${now + 60_000}-taskmanager-00001`,
  ]);
});

test('offers: a launched worker keeps where, with what and by which write it was launched', () => {
  const { writes } = decide(
    state({ waiting: [worker(1)] }),
    [offers(offer('o1', { agent: 'a9' }))],
    moment({ op: 'offers-x-1' }),
  );
  const record = written(writes, paths.worker('taskmanager-00001'));
  assert.equal(record.state, 'launching');
  assert.equal(record.agentId, 'a9');
  assert.deepEqual(record.ports, {
    'taskmanager.data.port': 31000,
    'taskmanager.rpc.port': 31001,
  });
  assert.deepEqual(record.launch, { op: 'offers-x-1', offerIds: ['o1'], epoch: 7, at: now });
});

test('offers: several workers of one agent go out in one ACCEPT with ports of their own', () => {
  const { effects } = decide(
    state({ waiting: [worker(1), worker(2), worker(3)] }),
    [offers(offer('o1', { agent: 'a1', cpus: 3 }))],
    moment(),
  );
  const accept = effects[0];
  assert.ok(accept?.kind === 'accept');
  assert.equal(accept.tasks.length, 3);
  const ports = accept.tasks.flatMap((task) =>
    (task.resources ?? []).flatMap((r) => (r.name === 'ports' ? (r.ranges?.range ?? []) : [])),
  );
  assert.deepEqual(ports, [
    { begin: 31000, end: 31001 },
    { begin: 31002, end: 31003 },
    { begin: 31004, end: 31005 },
  ]);
});

test('offers: workers are spread over the agents that have room', () => {
  const { effects } = decide(
    state({ waiting: [worker(1), worker(2)] }),
    [offers(offer('o1'), offer('o2'))],
    moment(),
  );
  const accepts = effects.filter((effect) => effect.kind === 'accept');
  assert.deepEqual(
    accepts.map((accept) => accept.tasks.length),
    [1, 1],
  );
});

test('offers: an offer of an older epoch is void and not answered', () => {
  const old: Heard = { kind: 'offers', epoch: 6, offers: [offer('o1')] };
  const { effects, writes } = decide(state({ waiting: [worker(1)] }), [old], moment());
  assert.deepEqual([effects, writes], [[], []]);
});

test('offers: nothing is launched while held, paused, ending, or on an avoided agent', () => {
  const waiting = [worker(1)];
  const avoid = { v: 1 as const, op: '', failures: 1, avoidUntil: now + 1000, why: 'it broke' };
  const cases: Partial<OffersState>[] = [
    { framework: framework({ held: { since: now, why: 'a test' } }) },
    { framework: framework({ state: 'ending' }) },
    { launches: { v: 1, op: '', failures: [], notBefore: now + 1, pauses: 1 } },
    { agents: new Map([['agent-of-o1', avoid]]) },
    { spec: spec({ hostAttributes: [{ attribute: 'rack', value: 'r2' }] }) },
  ];
  for (const over of cases) {
    const { writes, effects } = decide(
      state({ waiting, ...over }),
      [offers(offer('o1'))],
      moment(),
    );
    assert.deepEqual(writes, []);
    assert.ok(effects.every((effect) => effect.kind === 'decline'));
    assert.equal(effects.length, 1);
  }
});

test('offers: what lacks is said with the margin', () => {
  const { reasons } = decide(
    state({ waiting: [worker(1)] }),
    [offers(offer('o1', { cpus: 0.5 }))],
    moment(),
  );
  assert.match(reasons[0]?.why ?? '', /cpus short by 0\.5/);
});

test('offers: a refused ACCEPT puts its workers back, and only those of that launch', () => {
  const launched = { op: 'l', offerIds: ['o1'], epoch: 7, at: now };
  const back = worker(1, { state: 'launching', launch: launched, due: now + 1 });
  const other = worker(2, { state: 'launching', launch: { ...launched, op: 'later' } });
  const event: Heard = {
    kind: 'refused',
    workers: [back.value.id, other.value.id],
    op: 'l',
    why: 'gone',
  };
  const { writes, effects } = decide(state({ refused: byId(back, other) }), [event], moment());
  const record = written(writes, back.path);
  assert.equal(record.state, 'wanted');
  assert.equal(record.launch, undefined);
  assert.equal(record.due, undefined);
  assert.ok(!brief(writes).some((line) => line.includes('taskmanager-00002')));
  assert.deepEqual(
    effects.map((effect) => effect.kind),
    ['changed'],
  );
});

test('offers: a new worker makes one REVIVE, not one per worker', () => {
  const wanted: Heard = { kind: 'changed', record: 'worker', id: 'w', state: 'wanted' };
  const some = state({ waiting: [worker(1), worker(2)] });
  const kinds = decide(some, [wanted, wanted], moment()).effects.map((effect) => effect.kind);
  assert.deepEqual(kinds, ['revive']);
  const soon = decide({ ...some, revivedAt: now - 100 }, [wanted], moment());
  assert.deepEqual(soon.effects, []);
});

test('offers: REVIVE is repeated after 5, 10, 20 ... 60 s while no offer comes', () => {
  const some = state({ waitingCount: 1 });
  const sent = (silence: number, revives: number): boolean =>
    decide(some, [tick({ offersAt: 0, revivedAt: now - silence, revives })], moment()).effects.some(
      (effect) => effect.kind === 'revive',
    );
  assert.deepEqual([sent(4999, 1), sent(5000, 1)], [false, true]);
  assert.deepEqual([sent(9999, 2), sent(10_000, 2)], [false, true]);
  assert.deepEqual([sent(59_999, 9), sent(60_000, 9)], [false, true]);
});

test('offers: a worker that became wanted right after a REVIVE is not left to wait for the next pause', () => {
  const kinds = (newestAt: number): readonly string[] =>
    decide(
      state({ waitingCount: 1, newestAt, revivedAt: now - 400 }),
      [tick({ revivedAt: now - 400, offersAt: now - 390, revives: 0 })],
      moment(),
    ).effects.map((effect) => effect.kind);
  assert.deepEqual(kinds(now - 300), ['revive']);
  assert.deepEqual(kinds(now - 500), []);
});

test('offers: where more wait than were placed, the rest of the agents is asked for at once', () => {
  const some = state({ waiting: [worker(1)], waitingCount: 3, revivedAt: now - 10 });
  const { effects } = decide(some, [offers(offer('o1'))], moment());
  assert.deepEqual(
    effects.map((effect) => effect.kind),
    ['accept', 'changed', 'revive'],
  );
  const [accept] = effects;
  assert.ok(accept?.kind === 'accept');
  assert.equal(accept.refuseSeconds, 0);
});

test('offers: a suppressed framework is revived as soon as something waits', () => {
  const { effects } = decide(state({ waitingCount: 1 }), [tick({ suppressed: true })], moment());
  assert.deepEqual(
    effects.map((effect) => effect.kind),
    ['revive'],
  );
});

test('offers: SUPPRESS when nothing has waited for a second, behind a read barrier', () => {
  const quiet = decide(state(), [tick({ revivedAt: now - 1000 })], moment());
  assert.equal(quiet.effects[0]?.kind, 'suppress');
  assert.equal(quiet.fromAbsence, true);
  assert.deepEqual(decide(state(), [tick({ revivedAt: now - 900 })], moment()).effects, []);
  assert.deepEqual(decide(state(), [tick({ suppressed: true })], moment()).effects, []);
});

test('offers: no worker is ever placed twice and no offer is used beyond what it holds', () => {
  const agents = fc.array(
    fc.record({
      cpus: fc.integer({ min: 0, max: 8000 }).map((milli) => milli / 1000),
      mem: fc.integer({ min: 0, max: 8192 }),
      ports: fc.integer({ min: 1, max: 9 }),
    }),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(agents, fc.integer({ min: 0, max: 20 }), (sizes, count) => {
      const waiting = Array.from({ length: count }, (_, index) => worker(index + 1));
      const list = sizes.map((one, index) => offer(`o${index}`, one));
      const { effects } = decide(state({ waiting }), [offers(...list)], moment());
      const accepts = effects.filter((effect) => effect.kind === 'accept');
      const placed = accepts.flatMap((accept) => accept.tasks.map((task) => task.task_id.value));
      assert.equal(new Set(placed).size, placed.length);
      for (const accept of accepts) {
        const index = Number(accept.offerIds[0]?.slice(1));
        const used = accept.tasks.length;
        assert.ok(used * 1 <= (sizes[index]?.cpus ?? 0) + 1e-9);
        assert.ok(used * 1024 <= (sizes[index]?.mem ?? 0));
        assert.ok(used * 2 <= (sizes[index]?.ports ?? 0));
      }
      const answered = effects.flatMap((effect) =>
        effect.kind === 'accept' || effect.kind === 'decline' ? effect.offerIds : [],
      );
      assert.deepEqual(answered.toSorted(), list.map((one) => one.id.value).toSorted());
      const left = sizes.some(
        (one, index) =>
          !accepts.some((accept) => accept.offerIds.includes(`o${index}`)) &&
          one.cpus >= 1 &&
          one.mem >= 1024 &&
          one.ports >= 2,
      );
      assert.ok(!left || placed.length === count, 'a fit that exists for a worker is found');
    }),
  );
});

test('offers: reserved resources are used before unreserved ones', () => {
  const mixed = offer('o1');
  const reserved = {
    ...mixed,
    resources: [
      ...(mixed.resources ?? []),
      { name: 'cpus', type: 'SCALAR' as const, scalar: { value: 0.6 }, role: 'flink' },
    ],
  };
  const { effects } = decide(state({ waiting: [worker(1)] }), [offers(reserved)], moment());
  const accept = effects[0];
  assert.ok(accept?.kind === 'accept');
  const cpus = (accept.tasks[0]?.resources ?? []).filter((one) => one.name === 'cpus');
  assert.deepEqual(
    cpus.map((one) => [one.role, one.scalar?.value]),
    [
      ['flink', 0.6],
      ['*', 0.4],
    ],
  );
});

test('offers: values travel in the environment, the command stays constant', () => {
  const one = worker(1, { flink: { jvm: '-Xmx1g', dynamic: ['a=b c', 'd=$e;f'] } });
  const { effects } = decide(state({ waiting: [one] }), [offers(offer('o1'))], moment());
  const accept = effects[0];
  assert.ok(accept?.kind === 'accept');
  const command = accept.tasks[0]?.command;
  assert.equal(command?.value, settings().task.command);
  const variables = new Map(
    command?.environment?.variables?.map((variable) => [variable.name, variable.value]),
  );
  assert.equal(variables.get('JVM_ARGS'), '-Xmx1g');
  assert.equal(
    variables.get('DREY_TASKMANAGER_PROPERTIES'),
    [
      'a=b c',
      'd=$e;f',
      'taskmanager.data.port=31000',
      'taskmanager.rpc.port=31001',
      'taskmanager.resource-id=taskmanager-00001',
    ].join('\n'),
  );
});
