import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rig, type RigStream, task } from './rig.ts';

function launched(rig: Rig): { readonly stream: RigStream; readonly agentId: string } {
  const agent = rig.addAgent();
  const stream = rig.subscribe({ capabilities: [{ type: 'PARTITION_AWARE' }] });
  const agentId = agent.simulated.agent.agentId ?? '';
  rig.launch(stream, [task('t', agentId)], 3600);
  rig.advance(50);
  return { stream, agentId };
}

const timesOf = (stream: RigStream, state: string): readonly number[] =>
  stream.events.flatMap(({ at, event }) => (event.update?.status.state === state ? [at] : []));

test('mesos: an unacknowledged update is repeated after 10 s, 20 s, 40 s ... and at most 10 min', () => {
  const rig = new Rig();
  const { stream } = launched(rig);
  rig.advance(4_000_000, 100);
  const times = timesOf(stream, 'TASK_STARTING');
  const waits = times.slice(1).map((at, n) => Math.round((at - (times[n] ?? 0)) / 1000));
  assert.deepEqual(waits.slice(0, 9), [10, 20, 40, 80, 160, 320, 600, 600, 600]);
  const uuids = new Set(rig.updates(stream, 't').map(({ uuid }) => String(uuid)));
  assert.equal(uuids.size, 1, 'only the oldest update is sent, and it is always the same');
});

test('mesos: the next update follows the acknowledgement of the one before, with a new timer', () => {
  const rig = new Rig();
  const { stream } = launched(rig);
  rig.advance(35_000, 100);
  const [starting] = rig.updates(stream, 't');
  assert.ok(starting);
  rig.acknowledge(stream, starting);
  const at = rig.now;
  rig.advance(12_000, 100);
  assert.deepEqual(
    timesOf(stream, 'TASK_RUNNING').map((time) => Math.round((time - at) / 1000)),
    [0, 10],
  );
  rig.acknowledge(stream, starting);
  rig.advance(1000, 100);
  assert.equal(
    timesOf(stream, 'TASK_RUNNING').length,
    2,
    'a repeated acknowledgement changes nothing',
  );
});

test('mesos: an acknowledgement that is lost on its way to the agent is asked for again', () => {
  const rig = new Rig();
  const { stream } = launched(rig);
  rig.loseAcknowledgements = true;
  rig.acknowledgeAll(stream);
  rig.loseAcknowledgements = false;
  rig.advance(11_000, 100);
  assert.equal(timesOf(stream, 'TASK_STARTING').length, 2);
  rig.acknowledgeAll(stream);
  assert.equal(timesOf(stream, 'TASK_RUNNING').length, 1);
});

test('mesos: a scheduler that subscribes again hears at once what is pending, without asking', () => {
  const rig = new Rig();
  const { stream } = launched(rig);
  rig.drop(stream);
  rig.advance(6000, 100);
  const again = rig.subscribe({ id: { value: stream.frameworkId } });
  assert.deepEqual(
    rig.updates(again).map(({ state }) => state),
    ['TASK_STARTING'],
  );
  const first = rig.now;
  rig.advance(12_000, 100);
  const wait = (timesOf(again, 'TASK_STARTING')[1] ?? 0) - first;
  assert.ok(wait >= 10_000 && wait <= 10_200, `the back-off begins anew, not ${wait} ms`);
});

test('mesos: an ended task gives its resources back although nothing is acknowledged', () => {
  const rig = new Rig();
  const { stream } = launched(rig);
  rig.call(stream, { type: 'KILL', kill: { task_id: { value: 't' } } });
  rig.advance(9000, 100);
  assert.equal(rig.offers(stream).length, 0, 'the master learns of it with the repeated update');
  rig.advance(3000, 100);
  assert.equal(rig.offers(stream).length, 1);
  assert.deepEqual(timesOf(stream, 'TASK_KILLED'), []);
});

test('mesos: KILL says TASK_KILLING only to those who know it', () => {
  for (const aware of [true, false]) {
    const rig = new Rig();
    const agent = rig.addAgent();
    const capabilities = aware ? ([{ type: 'TASK_KILLING_STATE' }] as const) : [];
    const stream = rig.subscribe({ capabilities });
    rig.launch(stream, [task('t', agent.simulated.agent.agentId ?? '')]);
    rig.advance(50);
    rig.acknowledgeAll(stream);
    rig.call(stream, { type: 'KILL', kill: { task_id: { value: 't' } } });
    rig.advance(50);
    rig.acknowledgeAll(stream);
    const states = rig.updates(stream, 't').map(({ state }) => state);
    const killing = aware ? ['TASK_KILLING'] : [];
    assert.deepEqual(states, ['TASK_STARTING', 'TASK_RUNNING', ...killing, 'TASK_KILLED']);
  }
});

test('mesos: KILL before the task runs ends it at once', () => {
  const rig = new Rig();
  const agent = rig.addAgent();
  const stream = rig.subscribe();
  rig.launch(stream, [task('t', agent.simulated.agent.agentId ?? '')]);
  rig.call(stream, { type: 'KILL', kill: { task_id: { value: 't' } } });
  const [only] = rig.updates(stream, 't');
  assert.equal(only?.state, 'TASK_KILLED');
  assert.equal(only?.reason, 'REASON_TASK_KILLED_DURING_LAUNCH');
  assert.equal(only?.source, 'SOURCE_AGENT');
  assert.equal(only?.message, 'Killed before delivery to the executor');
  rig.advance(1000);
  rig.acknowledgeAll(stream);
  assert.equal(rig.updates(stream, 't').length, 1);
});

test('mesos: the id of a task that has just ended cannot be used for a second', () => {
  const rig = new Rig();
  const { stream, agentId } = launched(rig);
  rig.acknowledgeAll(stream);
  rig.call(stream, { type: 'KILL', kill: { task_id: { value: 't' } } });
  rig.advance(50);
  rig.acknowledgeAll(stream);
  rig.call(stream, { type: 'REVIVE' });
  rig.launch(stream, [task('t', agentId)]);
  const dropped = rig.updates(stream, 't').at(-1);
  assert.equal(dropped?.state, 'TASK_DROPPED');
  assert.equal(dropped?.message, 'Cannot reuse an already existing executor for a command task');
  assert.ok(dropped?.uuid);
  rig.acknowledgeAll(stream);
  rig.advance(6000, 100);
  rig.call(stream, { type: 'REVIVE' });
  rig.launch(stream, [task('t', agentId)]);
  rig.advance(50);
  assert.equal(rig.updates(stream, 't').at(-1)?.state, 'TASK_STARTING');
});
