import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rig, task } from './rig.ts';

const cpusOf = (rig: Rig, stream: ReturnType<Rig['subscribe']>): readonly unknown[] =>
  rig
    .offers(stream)
    .map(({ resources }) => resources?.find(({ name }) => name === 'cpus')?.scalar?.value);

test('mesos: a new framework gets SUBSCRIBED, HEARTBEAT and its offers at once', () => {
  const rig = new Rig();
  rig.addAgent();
  const stream = rig.subscribe();
  assert.deepEqual(
    stream.events.map(({ event }) => event.type),
    ['SUBSCRIBED', 'HEARTBEAT', 'OFFERS'],
  );
  rig.advance(45_000, 100);
  const beats = stream.events.filter(({ event }) => event.type === 'HEARTBEAT');
  assert.deepEqual(
    beats.map(({ at }) => Math.round((at - 1_000_000) / 15_000)),
    [0, 1, 2, 3],
  );
});

test('mesos: a declined offer comes back at the first run after its filter, and within 5 s by default', () => {
  const rig = new Rig();
  rig.addAgent();
  const stream = rig.subscribe();
  const decline = (seconds: number | undefined): number => {
    const offer_ids = rig.offers(stream).map(({ id }) => id);
    const filters = seconds === undefined ? undefined : { refuse_seconds: seconds };
    const before = rig.now;
    rig.call(stream, { type: 'DECLINE', decline: { offer_ids, filters } });
    while (rig.offers(stream).length === 0) rig.advance(100, 100);
    return rig.now - before;
  };
  assert.ok(decline(0) <= 1000, 'refuse 0: the next run');
  for (const seconds of [undefined, -1, 5]) {
    const took = decline(seconds);
    assert.ok(took >= 5000 && took <= 6000, `refuse ${seconds} took ${took} ms`);
  }
});

test('mesos: SUPPRESS stops offers, REVIVE forgets filters and brings them without waiting for a run', () => {
  const rig = new Rig();
  rig.addAgent();
  const stream = rig.subscribe();
  const decline = { offer_ids: rig.offers(stream).map(({ id }) => id) };
  rig.call(stream, { type: 'DECLINE', decline: { ...decline, filters: { refuse_seconds: 3600 } } });
  rig.call(stream, { type: 'SUPPRESS' });
  rig.advance(7000, 100);
  assert.equal(rig.offers(stream).length, 0);
  rig.call(stream, { type: 'REVIVE' });
  assert.equal(rig.offers(stream).length, 1);
});

test('mesos: a framework that subscribes suppressed gets no offers until it revives', () => {
  const rig = new Rig();
  rig.addAgent();
  const capabilities = [{ type: 'MULTI_ROLE' }] as const;
  const stream = rig.subscribe({ roles: ['a'], capabilities }, { suppressed_roles: ['a'] });
  rig.advance(5000, 100);
  assert.equal(rig.offers(stream).length, 0);
  rig.call(stream, { type: 'REVIVE', revive: { roles: ['a'] } });
  const [offer] = rig.offers(stream);
  assert.deepEqual(offer?.allocation_info, { role: 'a' });
  assert.deepEqual(
    offer?.resources?.map(({ allocation_info }) => allocation_info?.role),
    ['a', 'a', 'a', 'a'],
  );
});

test('mesos: what a task gives back comes as a separate offer while the rest is held', () => {
  const rig = new Rig();
  const agent = rig.addAgent();
  const stream = rig.subscribe();
  const agentId = agent.simulated.agent.agentId ?? '';
  rig.launch(stream, [task('short', agentId, 1)]);
  rig.advance(1000);
  assert.deepEqual(cpusOf(rig, stream), [3]);
  rig.acknowledgeAll(stream);
  rig.call(stream, { type: 'KILL', kill: { task_id: { value: 'short' } } });
  rig.advance(2000);
  assert.deepEqual(cpusOf(rig, stream), [3, 1]);
  const both = rig.offers(stream).map(({ id }) => id.value);
  rig.accept(stream, both, [task('wide', agentId, 3.5), task('more', agentId, 0.5)]);
  rig.advance(100);
  assert.deepEqual(
    rig.updates(stream, 'wide').map(({ state }) => state),
    ['TASK_STARTING'],
  );
  assert.deepEqual(
    rig.updates(stream, 'more').map(({ state }) => state),
    ['TASK_STARTING'],
  );
});

test('mesos: a filter on the rest of an agent does not hide the whole of it', () => {
  const rig = new Rig();
  const agent = rig.addAgent();
  const stream = rig.subscribe();
  rig.launch(stream, [task('t', agent.simulated.agent.agentId ?? '')], 3600);
  rig.advance(5000);
  assert.equal(rig.offers(stream).length, 0);
  rig.acknowledgeAll(stream);
  rig.call(stream, { type: 'KILL', kill: { task_id: { value: 't' } } });
  rig.advance(2000);
  assert.deepEqual(cpusOf(rig, stream), [4]);
});

test('mesos: offers held longer than the offer time-out are rescinded and made again', () => {
  const rig = new Rig({ offerTimeoutMs: 4000 });
  rig.addAgent();
  const stream = rig.subscribe();
  const first = rig.offers(stream)[0]?.id.value;
  rig.advance(5000, 100);
  const rescinded = stream.events.find(({ event }) => event.type === 'RESCIND');
  assert.equal(rescinded?.event.rescind?.offer_id.value, first);
  assert.equal(rig.offers(stream).length, 1);
});

test('mesos: agents are shared among frameworks by what each has', () => {
  const rig = new Rig();
  const one = rig.subscribe({ name: 'one' });
  const other = rig.subscribe({ name: 'other' });
  for (let n = 0; n < 10; n += 1) rig.addAgent();
  assert.deepEqual([rig.offers(one).length, rig.offers(other).length], [5, 5]);
});
