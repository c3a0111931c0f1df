import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TaskStatus } from '#proto/mesos/types.ts';
import { Rig, type RigStream, task } from './rig.ts';

const partitionAware = { capabilities: [{ type: 'PARTITION_AWARE' }] } as const;

function running(rig: Rig, stream: RigStream, ...ids: readonly string[]): void {
  const agentId = rig.agents[0]?.simulated.agent.agentId ?? '';
  rig.launch(
    stream,
    ids.map((id) => task(id, agentId)),
  );
  rig.advance(50);
  rig.acknowledgeAll(stream);
}

const typesSince = (stream: RigStream, from: number): readonly unknown[] =>
  stream.events.slice(from).map(({ event }) => event.type);

const last = (rig: Rig, stream: RigStream, id: string): TaskStatus => {
  const status = rig.updates(stream, id).at(-1);
  assert.ok(status, `nothing was told of ${id}`);
  return status;
};

function told(status: TaskStatus): readonly unknown[] {
  return [status.state, status.source, status.reason, status.message, status.uuid];
}

test('mesos: tasks of an agent that dies are lost at once only without checkpoint', () => {
  const rig = new Rig();
  const agent = rig.addAgent();
  const keeping = rig.subscribe(partitionAware);
  running(rig, keeping, 'p0');
  rig.advance(1000);
  rig.call(keeping, {
    type: 'DECLINE',
    decline: { offer_ids: rig.offers(keeping).map(({ id }) => id) },
  });
  const plain = rig.subscribe({ ...partitionAware, checkpoint: false });
  running(rig, plain, 'x0');
  rig.advance(1000);
  const from = plain.events.length;
  rig.disconnect(agent);
  assert.deepEqual(typesSince(plain, from), ['RESCIND', 'UPDATE']);
  const lost = [
    'TASK_LOST',
    'SOURCE_MASTER',
    'REASON_AGENT_DISCONNECTED',
    'Agent 127.0.0.1 disconnected',
    undefined,
  ];
  assert.deepEqual(told(last(rig, plain, 'x0')), lost);
  assert.equal(last(rig, keeping, 'p0').state, 'TASK_RUNNING');
});

test('mesos: after the ping time-out tasks are unreachable or lost, and FAILURE follows', () => {
  const rig = new Rig();
  const agent = rig.addAgent();
  const aware = rig.subscribe(partitionAware);
  running(rig, aware, 'p0');
  rig.advance(1000);
  const held = rig.offers(aware)[0];
  rig.call(aware, { type: 'DECLINE', decline: { offer_ids: held ? [held.id] : [] } });
  const plain = rig.subscribe();
  running(rig, plain, 'n0');
  const from = aware.events.length;
  rig.disconnect(agent);
  rig.advance(2000);
  assert.deepEqual(typesSince(aware, from), [], 'nothing before the time-out');
  rig.advance(2000);
  assert.deepEqual(typesSince(aware, from), ['UPDATE', 'FAILURE']);
  const why = ['SOURCE_MASTER', 'REASON_AGENT_REMOVED', 'health check timed out', undefined];
  assert.deepEqual(told(last(rig, aware, 'p0')), ['TASK_UNREACHABLE', ...why]);
  assert.deepEqual(told(last(rig, plain, 'n0')), ['TASK_LOST', ...why]);
  assert.ok(last(rig, plain, 'n0').unreachable_time?.nanoseconds);

  rig.connect(agent);
  const back = [
    'TASK_RUNNING',
    'SOURCE_MASTER',
    'REASON_AGENT_REREGISTERED',
    'Unreachable agent re-reregistered',
    undefined,
  ];
  assert.deepEqual(told(last(rig, aware, 'p0')), back);
  assert.deepEqual(told(last(rig, plain, 'n0')), back);
});

test('mesos: an agent that freezes is given up although its connection stands', () => {
  const rig = new Rig();
  const agent = rig.addAgent();
  const stream = rig.subscribe(partitionAware);
  running(rig, stream, 't');
  const { connection } = agent;
  agent.connection = undefined;
  rig.advance(4000);
  assert.equal(last(rig, stream, 't').state, 'TASK_UNREACHABLE');
  agent.connection = connection;
  rig.connect(agent);
  assert.equal(last(rig, stream, 't').state, 'TASK_RUNNING');
});

test('mesos: a quick restart of the agent is not noticed by the tasks, only by the offers', () => {
  const rig = new Rig();
  const agent = rig.addAgent();
  const stream = rig.subscribe(partitionAware);
  running(rig, stream, 'p0');
  rig.advance(1000);
  const from = stream.events.length;
  rig.disconnect(agent);
  rig.advance(500);
  rig.connect(agent);
  rig.advance(5000);
  const seen = typesSince(stream, from).filter((type) => type !== 'HEARTBEAT');
  assert.deepEqual(seen, ['RESCIND', 'OFFERS']);
});

test('mesos: a launch that is lost with the connection is dropped when the agent is back', () => {
  const rig = new Rig();
  const agent = rig.addAgent();
  const stream = rig.subscribe(partitionAware);
  const agentId = agent.simulated.agent.agentId ?? '';
  // The master has not noticed yet that nobody listens.
  agent.connection = undefined;
  rig.launch(stream, [task('gone', agentId)]);
  rig.connect(agent);
  const dropped = last(rig, stream, 'gone');
  assert.deepEqual(
    [dropped.state, dropped.source, dropped.reason],
    ['TASK_DROPPED', 'SOURCE_AGENT', 'REASON_RECONCILIATION'],
  );
  assert.ok(dropped.uuid, 'it is repeated until it is acknowledged');
});

test('mesos: a KILL that an absent agent did not hear is told again when it is back', () => {
  const rig = new Rig();
  const agent = rig.addAgent();
  const stream = rig.subscribe(partitionAware);
  running(rig, stream, 't');
  rig.disconnect(agent);
  rig.call(stream, { type: 'KILL', kill: { task_id: { value: 't' } } });
  rig.advance(500);
  rig.connect(agent);
  rig.advance(100);
  assert.equal(last(rig, stream, 't').state, 'TASK_KILLED');
});

test('mesos: reconciliation answers as recorded, by what master and framework know', () => {
  const table = [
    { aware: true, gone: 'TASK_GONE', unknown: 'TASK_UNKNOWN', unreachable: 'TASK_UNREACHABLE' },
    { aware: false, gone: 'TASK_LOST', unknown: 'TASK_LOST', unreachable: 'TASK_LOST' },
  ];
  for (const { aware, gone, unknown, unreachable } of table) {
    const rig = new Rig();
    const agent = rig.addAgent();
    const stream = rig.subscribe(aware ? partitionAware : {});
    running(rig, stream, 't1');
    const agentId = agent.simulated.agent.agentId ?? '';
    const ask = (taskId: string, on?: string): string => {
      const agent_id = on === undefined ? undefined : { value: on };
      const tasks = [{ task_id: { value: taskId }, agent_id }];
      const before = rig.updates(stream).length;
      rig.call(stream, { type: 'RECONCILE', reconcile: { tasks } });
      const [answer] = rig.updates(stream).slice(before);
      assert.equal(answer?.reason, 'REASON_RECONCILIATION');
      assert.equal(answer?.uuid, undefined);
      return `${answer?.state} ${answer?.message}`;
    };
    assert.equal(ask('t1'), 'TASK_RUNNING Reconciliation: Latest task state');
    assert.equal(ask('t1', 'no-such-agent'), 'TASK_RUNNING Reconciliation: Latest task state');
    assert.equal(ask('u', agentId), `${gone} Reconciliation: Task is unknown to the agent`);
    assert.equal(ask('u'), `${unknown} Reconciliation: Task is unknown`);
    assert.equal(ask('u', 'no-such-agent'), `${unknown} Reconciliation: Task is unknown`);
    rig.disconnect(agent);
    rig.advance(4000);
    assert.equal(ask('t1', agentId), `${unreachable} Reconciliation: Task is unreachable`);
    const before = rig.updates(stream).length;
    rig.call(stream, { type: 'RECONCILE', reconcile: {} });
    assert.equal(rig.updates(stream).length, before, 'implicit: unreachable tasks are not listed');
  }
});

test('mesos: implicit reconciliation tells each live task, and nothing at all without one', () => {
  const rig = new Rig();
  rig.addAgent();
  const stream = rig.subscribe();
  rig.call(stream, { type: 'RECONCILE', reconcile: {} });
  assert.equal(rig.updates(stream).length, 0);
  running(rig, stream, 't1', 't2');
  const before = rig.updates(stream).length;
  rig.call(stream, { type: 'RECONCILE', reconcile: {} });
  assert.deepEqual(
    rig
      .updates(stream)
      .slice(before)
      .map(({ task_id }) => task_id.value),
    ['t1', 't2'],
  );
});

test('mesos: a master says nothing of agents that its registry knows and that are not back', () => {
  const rig = new Rig({ recoveredAgents: ['old-S0'] });
  const stream = rig.subscribe(partitionAware);
  const ask = (taskId: string, on?: string): number => {
    const before = rig.updates(stream).length;
    const agent_id = on === undefined ? undefined : { value: on };
    rig.call(stream, {
      type: 'RECONCILE',
      reconcile: { tasks: [{ task_id: { value: taskId }, agent_id }] },
    });
    return rig.updates(stream).length - before;
  };
  assert.deepEqual([ask('t', 'old-S0'), ask('t'), ask('t', 'no-such-agent')], [0, 0, 1]);
});

test('mesos: agents of the registry that do not come back in time are unreachable, and FAILURE tells it', () => {
  const rig = new Rig({ recoveredAgents: ['old-S0'], agentReregisterTimeoutMs: 20_000 });
  const stream = rig.subscribe(partitionAware);
  const ask = (agentId?: string): readonly string[] => {
    const before = rig.updates(stream).length;
    const agent_id = agentId === undefined ? undefined : { value: agentId };
    const tasks = [{ task_id: { value: 't' }, agent_id }];
    rig.call(stream, { type: 'RECONCILE', reconcile: { tasks } });
    return rig
      .updates(stream)
      .slice(before)
      .map(({ state, message }) => `${state} ${message}`);
  };
  const failures = (): readonly (string | undefined)[] =>
    stream.events.flatMap(({ event }) =>
      event.type === 'FAILURE' ? [event.failure?.agent_id?.value] : [],
    );
  rig.advance(19_900, 100);
  assert.deepEqual([ask('old-S0'), failures()], [[], []]);
  rig.advance(200, 100);
  assert.deepEqual(failures(), ['old-S0']);
  assert.equal(rig.updates(stream).length, 0, 'nobody knows what ran there');
  assert.deepEqual(ask('old-S0'), ['TASK_UNREACHABLE Reconciliation: Task is unreachable']);
  assert.deepEqual(ask(), ['TASK_UNKNOWN Reconciliation: Task is unknown']);
  rig.advance(30_000, 1000);
  assert.deepEqual(failures(), ['old-S0'], 'told once');
});

test('mesos: the task of an agent that comes back after that is told to run', () => {
  const old = new Rig();
  const agent = old.addAgent();
  const before = old.subscribe(partitionAware);
  running(old, before, 't0');
  const rig = new Rig({ masterId: 'N', recoveredAgents: [agent.simulated.agent.agentId ?? ''] });
  rig.agents.push(agent);
  const stream = rig.subscribe({ ...partitionAware, id: { value: before.frameworkId } });
  rig.advance(600_000, 5000);
  rig.connect(agent);
  assert.equal(rig.master.unreachable.size, 0);
  assert.equal(last(rig, stream, 't0').state, 'TASK_RUNNING');
});

test('mesos: a new master adopts the tasks of agents that come back to it, without a word', () => {
  const old = new Rig();
  const agent = old.addAgent();
  const before = old.subscribe(partitionAware);
  running(old, before, 't0');
  const rig = new Rig({ masterId: 'N' });
  rig.now = old.now;
  rig.agents.push(agent);
  const stream = rig.subscribe({ ...partitionAware, id: { value: before.frameworkId } });
  rig.connect(agent);
  assert.equal(rig.updates(stream).length, 0);
  rig.call(stream, { type: 'RECONCILE', reconcile: {} });
  assert.equal(last(rig, stream, 't0').state, 'TASK_RUNNING');
  assert.equal(rig.offers(stream)[0]?.id.value, 'N-O0');
});
