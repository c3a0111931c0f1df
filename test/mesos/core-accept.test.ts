import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TaskInfo } from '#proto/mesos/types.ts';
import { Rig, type RigStream, task } from './rig.ts';

const all =
  'ports(allocated: *):[31000-31999]; cpus(allocated: *):4; mem(allocated: *):4096; disk(allocated: *):10240';

function stage(aware = true): { rig: Rig; stream: RigStream; agentId: string } {
  const rig = new Rig();
  const agent = rig.addAgent();
  const capabilities = aware ? ([{ type: 'PARTITION_AWARE' }] as const) : [];
  const stream = rig.subscribe({ capabilities });
  return { rig, stream, agentId: agent.simulated.agent.agentId ?? '' };
}

test('mesos: a task that cannot be launched is TASK_ERROR with the reason in a master’s words', () => {
  const { agentId } = stage();
  const good = task('t', agentId);
  const both = { executor_id: { value: 'x' }, command: { value: 'true' } };
  const port = {
    name: 'ports',
    type: 'RANGES',
    ranges: { range: [{ begin: 40000, end: 40000 }] },
  } as const;
  const cases: readonly (readonly [TaskInfo, string])[] = [
    [
      task('t', agentId, 100),
      `Total resources cpus(allocated: *):100; mem(allocated: *):32 required by task and its executor is more than available ${all}`,
    ],
    [
      { ...good, resources: [...(good.resources ?? []), port] },
      `Total resources cpus(allocated: *):0.1; mem(allocated: *):32; ports(allocated: *):[40000-40000] required by task and its executor is more than available ${all}`,
    ],
    [
      task('t', 'no-such-agent'),
      `Task uses invalid agent no-such-agent while agent ${agentId} is expected`,
    ],
    [task('g/slash', agentId), "'g/slash' contains invalid characters"],
    [{ ...good, resources: [] }, 'Task uses no resources'],
    [
      { ...good, executor: both },
      'Task should have at least one (but not both) of CommandInfo or ExecutorInfo present',
    ],
    [
      { ...good, command: undefined },
      'Task should have at least one (but not both) of CommandInfo or ExecutorInfo present',
    ],
  ];
  for (const [info, message] of cases) {
    const { rig, stream } = stage();
    rig.launch(stream, [info]);
    const [error] = rig.updates(stream);
    assert.deepEqual(
      [error?.state, error?.source, error?.reason, error?.message, error?.uuid],
      ['TASK_ERROR', 'SOURCE_MASTER', 'REASON_TASK_INVALID', message, undefined],
    );
  }
});

test('mesos: the tasks of a launch take what is left in order', () => {
  const { rig, stream, agentId } = stage();
  rig.launch(stream, [task('ok', agentId, 3.9), task('big', agentId, 1)]);
  rig.advance(50);
  assert.equal(rig.updates(stream, 'ok')[0]?.state, 'TASK_STARTING');
  const message = rig.updates(stream, 'big')[0]?.message;
  const left =
    'ports(allocated: *):[31000-31999]; cpus(allocated: *):0.1; mem(allocated: *):4064; disk(allocated: *):10240';
  assert.equal(
    message,
    `Total resources cpus(allocated: *):1; mem(allocated: *):32 required by task and its executor is more than available ${left}`,
  );
});

test('mesos: a duplicate id is an error, and the task that has it goes on', () => {
  const { rig, stream, agentId } = stage();
  rig.launch(stream, [task('d', agentId)]);
  rig.advance(50);
  rig.acknowledgeAll(stream);
  rig.call(stream, { type: 'REVIVE' });
  rig.launch(stream, [task('d', agentId)]);
  assert.equal(rig.updates(stream, 'd').at(-1)?.message, 'Task has duplicate ID: d');
  rig.call(stream, { type: 'RECONCILE', reconcile: {} });
  assert.equal(rig.updates(stream, 'd').at(-1)?.state, 'TASK_RUNNING');
  assert.equal(rig.master.history.launches.get(stream.frameworkId)?.get('d'), 1);
});

test('mesos: offers that are not valid drop every task and use the good ones up', () => {
  for (const aware of [true, false]) {
    const { rig, stream, agentId } = stage(aware);
    const good = rig.offers(stream)[0]?.id.value ?? '';
    rig.accept(stream, [good, 'bogus-offer'], [task('c', agentId)], 3600);
    const [dropped] = rig.updates(stream, 'c');
    assert.equal(dropped?.state, aware ? 'TASK_DROPPED' : 'TASK_LOST');
    assert.equal(dropped?.reason, 'REASON_INVALID_OFFERS');
    assert.equal(
      dropped?.message,
      'Task launched with invalid offers: Offer bogus-offer is no longer valid',
    );
    rig.advance(1000);
    assert.equal(rig.offers(stream).length, 1, 'what they held is offered at the next run');
    rig.accept(stream, [], [task('h', agentId)]);
    assert.equal(
      rig.updates(stream, 'h')[0]?.message,
      'Task launched with invalid offers: No offers specified',
    );
  }
});

test('mesos: offers of two agents cannot be accepted together', () => {
  const { rig, stream, agentId } = stage();
  rig.addAgent();
  const [one, other] = rig.offers(stream).map(({ id }) => id.value);
  rig.accept(stream, [one ?? '', other ?? ''], [task('i', agentId)]);
  const message = `Task launched with invalid offers: Aggregated offers must belong to one single agent. Offer ${other} uses agent M-S1 and agent M-S0`;
  assert.equal(rig.updates(stream, 'i')[0]?.message, message);
});

test('mesos: an ACCEPT without operations is a DECLINE', () => {
  const { rig, stream } = stage();
  const offer_ids = rig.offers(stream).map(({ id }) => id);
  rig.call(stream, { type: 'ACCEPT', accept: { offer_ids, filters: { refuse_seconds: 0 } } });
  assert.equal(rig.offers(stream).length, 0);
  rig.advance(1000);
  assert.equal(rig.offers(stream).length, 1);
});

test('mesos: what this Mesos does not cover is answered 501 by name, and nothing is done', () => {
  const { rig, stream, agentId } = stage();
  const offer_ids = rig.offers(stream).map(({ id }) => id);
  const launch = { type: 'LAUNCH', launch: { task_infos: [task('t', agentId)] } } as const;
  const reserve = { type: 'RESERVE', reserve: { resources: [] } } as const;
  const operations = [launch, reserve];
  const answer = rig.call(stream, { type: 'ACCEPT', accept: { offer_ids, operations } });
  assert.deepEqual(answer, {
    status: 501,
    body: 'The local Mesos does not cover operation RESERVE',
  });
  assert.equal(rig.offers(stream).length, 1);
  assert.equal(rig.call(stream, { type: 'UNKNOWN' }).status, 501);
});

test('mesos: calls about what does not exist are taken and ignored', () => {
  const { rig, stream, agentId } = stage();
  rig.launch(stream, [task('t', agentId)]);
  rig.advance(50);
  const from = stream.events.length;
  const x = { value: 'x' };
  const uuid = new Uint8Array(16).fill(7);
  for (const call of [
    { type: 'DECLINE', decline: { offer_ids: [x] } },
    { type: 'SUPPRESS', suppress: { roles: ['zz'] } },
    {
      type: 'ACKNOWLEDGE',
      acknowledge: { agent_id: { value: agentId }, task_id: { value: 't' }, uuid },
    },
    { type: 'ACKNOWLEDGE', acknowledge: { agent_id: x, task_id: x, uuid } },
    { type: 'MESSAGE', message: { agent_id: x, executor_id: x, data: uuid } },
    { type: 'SHUTDOWN', shutdown: { agent_id: x, executor_id: x } },
    { type: 'KILL', kill: { task_id: { value: 't' }, agent_id: x } },
  ] as const) {
    assert.deepEqual(rig.call(stream, call), { status: 202, body: '' });
  }
  rig.advance(100);
  assert.equal(stream.events.length, from);
});
