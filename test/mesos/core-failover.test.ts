import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rig, type RigStream, task } from './rig.ts';

const typesOf = (stream: RigStream): readonly unknown[] =>
  stream.events.map(({ event }) => event.type);
const errorOf = (stream: RigStream): string | undefined =>
  stream.events.at(-1)?.event.error?.message;

test('mesos: a second scheduler takes over: the first one hears it and its stream ends', () => {
  const rig = new Rig();
  rig.addAgent();
  const first = rig.subscribe();
  const second = rig.subscribe({ id: { value: first.frameworkId } });
  assert.equal(errorOf(first), 'Framework failed over');
  assert.equal(first.closed, true);
  assert.deepEqual(typesOf(second), ['SUBSCRIBED', 'HEARTBEAT']);
  assert.ok(!first.events.some(({ event }) => event.type === 'RESCIND'));
  rig.advance(1000);
  assert.equal(rig.offers(second).length, 1, 'offers come with the next run');
  const stale = rig.call(first, { type: 'REVIVE' });
  const words = `The stream ID '${first.id}' included in this request didn't match the stream ID currently associated with framework ID ${first.frameworkId}`;
  assert.deepEqual(stale, { status: 400, body: words });
});

test('mesos: a scheduler that was away gets new offers at once, and its id is kept', () => {
  const rig = new Rig();
  rig.addAgent();
  const first = rig.subscribe();
  const stale = rig.offers(first)[0]?.id.value ?? '';
  rig.drop(first);
  assert.deepEqual(rig.call(first, { type: 'REVIVE' }), {
    status: 403,
    body: 'Framework is not subscribed',
  });
  rig.advance(3000, 100);
  const again = rig.subscribe({ id: { value: first.frameworkId } });
  assert.deepEqual(typesOf(again), ['SUBSCRIBED', 'HEARTBEAT', 'OFFERS']);
  rig.accept(again, [stale], [task('t', 'M-S0')]);
  assert.equal(rig.updates(again, 't')[0]?.reason, 'REASON_INVALID_OFFERS');
});

test('mesos: an id that no master gave out is taken as it is', () => {
  const rig = new Rig();
  const stream = rig.subscribe({ id: { value: 'my-own-id-0001' } });
  assert.equal(stream.events[0]?.event.subscribed?.framework_id.value, 'my-own-id-0001');
});

test('mesos: after its failover time-out, or a teardown, a framework id never works again', () => {
  for (const end of ['time-out', 'at once', 'teardown']) {
    const rig = new Rig();
    const agent = rig.addAgent();
    const failover_timeout = end === 'at once' ? 0 : 15;
    const stream = rig.subscribe({ failover_timeout });
    rig.launch(stream, [task('t', agent.simulated.agent.agentId ?? '')]);
    rig.advance(50);
    if (end === 'teardown') assert.equal(rig.call(stream, { type: 'TEARDOWN' }).status, 202);
    else rig.drop(stream);
    if (end === 'time-out') {
      rig.advance(14_000, 100);
      assert.equal(rig.master.completed.size, 0);
      rig.advance(2000, 100);
    }
    const again = rig.subscribe({ failover_timeout, id: { value: stream.frameworkId } });
    assert.equal(errorOf(again), 'Framework has been removed', end);
    assert.equal(again.closed, true);
    assert.deepEqual(rig.call(stream, { type: 'REVIVE' }), {
      status: 400,
      body: 'Framework cannot be found',
    });
    rig.advance(100);
    assert.equal(agent.simulated.agent.tasks.size, 0, 'its tasks are gone');
    assert.ok(!typesOf(stream).includes('ERROR'), 'a teardown is no error');
  }
});

test('mesos: name and failover_timeout change with a new subscription, checkpoint and user do not', () => {
  const rig = new Rig();
  const first = rig.subscribe();
  const id = { value: first.frameworkId };
  const again = rig.subscribe({
    id,
    name: 'renamed',
    failover_timeout: 15,
    checkpoint: false,
    user: 'x',
  });
  const { info } = rig.master.frameworks.get(first.frameworkId) ?? {};
  assert.deepEqual(
    [info?.name, info?.failover_timeout, info?.checkpoint, info?.user],
    ['renamed', 15, true, 'root'],
  );
  const framework_info = { name: 'renamed', user: 'root', checkpoint: false, id };
  const refused = rig.call(again, {
    type: 'UPDATE_FRAMEWORK',
    update_framework: { framework_info },
  });
  assert.deepEqual(refused, {
    status: 400,
    body: "FrameworkInfo update is not valid: Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update from 'true' to 'false'",
  });
});

test('mesos: what is wrong in a FrameworkInfo comes as an ERROR event on a stream that ends', () => {
  const multiRole = { capabilities: [{ type: 'MULTI_ROLE' }] } as const;
  const cases = [
    [
      { role: '/bad' },
      "'FrameworkInfo.role' is not a valid role: Role '/bad' cannot start with a slash",
    ],
    [
      { role: 'b d' },
      "'FrameworkInfo.role' is not a valid role: Role component 'b d' is invalid because it contains backspace or whitespace",
    ],
    [
      { roles: ['a'] },
      "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable",
    ],
    [
      { role: 'a', ...multiRole },
      "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable",
    ],
    [{ roles: ['a', 'a'], ...multiRole }, "'FrameworkInfo.roles' contains duplicate items: { a }"],
    [{ failover_timeout: 1e30 }, 'The framework failover_timeout (1e+30) is invalid'],
  ] as const;
  for (const [info, message] of cases) {
    const stream = new Rig().subscribe(info);
    assert.deepEqual(
      stream.events.map(({ event }) => event),
      [{ type: 'ERROR', error: { message } }],
    );
    assert.equal(stream.closed, true);
  }
  const foreign = new Rig().subscribe({ roles: ['a'], ...multiRole }, { suppressed_roles: ['zz'] });
  assert.equal(errorOf(foreign), 'Suppressed roles { zz } are not contained in the set of roles');
});
