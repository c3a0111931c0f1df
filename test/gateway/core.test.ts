import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { decodeEvent, encodeEvent } from '#proto/mesos/codec.ts';
import type { Offer, SchedulerEvent } from '#proto/mesos/types.ts';
import { encodeJson, lapsedMessage } from '#proto/messages.ts';
import { type SpecRecord, specRecord } from '#proto/spec.ts';
import { header } from '#proto/subjects.ts';
import type { BusMessage } from '#runtime/bus/bus.ts';
import { NoResponderError } from '#runtime/errors.ts';
import { readRecord } from '#runtime/store/records.ts';
import { until } from '#test/world/until.ts';
import { subscribed } from './fake-master.ts';
import { epochOf, type Ground, plainSettings, startGround, TestCluster } from './gateway-world.ts';

let ground: Ground;
before(async () => {
  ground = await startGround();
});
after(() => ground.stop());

async function cluster(t: TestContext): Promise<TestCluster> {
  const started = await TestCluster.start(ground);
  t.after(() => started.stop());
  return started;
}

const soon = (what: string, deadlineMs = 10_000) => ({ what, deadlineMs });

function offers(...ids: readonly string[]): SchedulerEvent {
  const made = ids.map(
    (id): Offer => ({
      id: { value: id },
      framework_id: { value: 'f' },
      agent_id: { value: 'agent-1' },
      hostname: 'h',
    }),
  );
  return { type: 'OFFERS', offers: { offers: made } };
}

const offerIds = (...ids: readonly string[]) => ids.map((value) => ({ value }));
const accept = (...ids: readonly string[]) =>
  ({ type: 'ACCEPT', accept: { offer_ids: offerIds(...ids), operations: [] } }) as const;

test('gateway: the id is stored before the first SUBSCRIBE, the epoch is raised before each', async (t) => {
  const c = await cluster(t);
  let stored: string | undefined;
  c.master.answer = () => {
    c.framework().then(({ id, epoch }) => {
      stored = `${id} ${epoch}`;
    });
    return false;
  };
  const gateway = await c.gateway('g1');
  const id = await c.subscribe(gateway);
  assert.match(id, /^drey-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(stored, `${id} 1`);
  const record = await c.framework();
  assert.deepEqual([record.state, record.masterId, record.gateway], ['active', 'master-1', 'g1']);
  assert.equal(record.masterChangedAt, undefined);
  const first = c.master.heard[0]?.call.subscribe;
  assert.deepEqual(first?.suppressed_roles, ['*']);
  await gateway.ready;
  await c.store.commit([{ kind: 'create', path: c.paths.waits('w1'), data: '' }]);
  const heard = c.master.heard.length;
  c.master.endStreams('cut');
  await c.subscribe(gateway, 'master-2', heard);
  const again = await c.framework();
  assert.deepEqual([again.id, again.epoch, again.masterId], [id, 2, 'master-2']);
  assert.ok((again.masterChangedAt ?? 0) > Date.now() - 60_000);
  assert.equal(c.master.heard.at(-1)?.call.subscribe?.suppressed_roles, undefined);
});

test('gateway: every second a tick tells epoch and levels', async (t) => {
  const c = await cluster(t);
  const gateway = await c.gateway('g1');
  await c.subscribe(gateway);
  const suppress = await c.call(1, 'suppress', { type: 'SUPPRESS' });
  assert.equal(suppress.outcome, 'sent');
  const tick = await until(() => c.ticks.find(({ subscribed }) => subscribed), soon('a tick'));
  assert.deepEqual([tick.epoch, tick.gateway, tick.suppressed], [1, 'g1', true]);
  await c.call(1, 'revive', { type: 'REVIVE' });
  await until(() => c.ticks.at(-1)?.revives === 1, soon('the REVIVE in a tick'));
  assert.equal(c.ticks.at(-1)?.suppressed, false);
  c.master.send(offers('o1', 'o2'));
  await until(() => c.ticks.at(-1)?.lent === 2, soon('the offers in a tick'));
  assert.equal(c.ticks.at(-1)?.revives, 0);
});

test('gateway: offers are published as Mesos sent them, with epoch, sequence and trace', async (t) => {
  const c = await cluster(t);
  const heard: BusMessage[] = [];
  c.bus.subscribe(c.subjects.offers, 'offers', (message) => heard.push(message));
  const gateway = await c.gateway('g1');
  await c.subscribe(gateway);
  const event = encodeEvent(offers('o1', 'o2'), 'protobuf');
  c.master.sendBytes(event);
  const message = await until(() => heard[0], soon('the offers'));
  assert.deepEqual(Buffer.from(message.data), Buffer.from(event));
  assert.equal(epochOf(message), 1);
  assert.match(message.headers[header.trace] ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  assert.ok(Number(message.headers[header.sequence]) > 0);
});

test('gateway: an offer can be accepted once; what nobody answers is declined after 5 s', async (t) => {
  const c = await cluster(t);
  const gateway = await c.gateway('g1');
  await c.subscribe(gateway);
  c.master.send(offers('o1', 'o2', 'o3', 'o4'));
  c.master.send({ type: 'RESCIND', rescind: { offer_id: { value: 'o4' } } });
  await until(() => gateway.status.lent === 3, soon('three offers'));
  assert.equal((await c.call(1, 'accept', accept('o1'))).outcome, 'sent');
  const again = await c.call(1, 'accept', accept('o1'));
  assert.deepEqual(again, { outcome: 'refused', message: 'offer o1 is not held' });
  assert.match((await c.call(1, 'accept', accept('o4'))).message ?? '', /o4 is not held/);
  const sent = c.master.heard.filter(({ call }) => call.type === 'ACCEPT');
  assert.equal(sent.length, 1);
  assert.equal(sent[0]?.call.framework_id?.value, (await c.framework()).id);
  const began = Date.now();
  const declined = await until(
    () => c.master.heard.find(({ call }) => call.type === 'DECLINE'),
    soon('the decline'),
  );
  assert.ok(Date.now() - began > 3000);
  assert.deepEqual(declined.call.decline?.offer_ids, offerIds('o2', 'o3'));
  assert.equal(declined.call.decline?.filters?.refuse_seconds, 1);
});

test('gateway: offers that lapse are told, and can never be accepted any more', async (t) => {
  const c = await cluster(t);
  const lapsed: { readonly epoch: string | undefined; readonly offers: readonly string[] }[] = [];
  c.bus.subscribe(c.subjects.lapsed, undefined, ({ headers, data }) => {
    const { offers } = lapsedMessage.parse(JSON.parse(Buffer.from(data).toString()));
    lapsed.push({ epoch: headers[header.epoch], offers });
  });
  const gateway = await c.gateway('g1');
  await c.subscribe(gateway);
  c.master.send(offers('o1', 'o2'));
  await until(() => gateway.status.lent === 2, soon('two offers'));
  assert.equal((await c.call(1, 'accept', accept('o1'))).outcome, 'sent');
  let broken = 0;
  c.master.answer = ({ call }, response) => {
    if (call.type !== 'DECLINE' || broken > 0) return false;
    broken += 1;
    response.destroy();
    return true;
  };
  await until(() => lapsed.length > 0, soon('the lapse'));
  assert.deepEqual(lapsed, [{ epoch: '1', offers: ['o2'] }]);
  await until(() => gateway.status.lent === 1, soon('its DECLINE is owed'));
  const late = await c.call(1, 'accept', accept('o2'));
  assert.deepEqual(late, { outcome: 'refused', message: 'offer o2 is not held' });
  await until(() => gateway.status.lent === 0, soon('it is declined'));
  assert.equal(lapsed.length, 1, 'told once');
});

test('gateway: after an ACCEPT of unknown outcome the same offers are declined, nothing is repeated', async (t) => {
  const c = await cluster(t);
  const gateway = await c.gateway('g1');
  await c.subscribe(gateway);
  c.master.send(offers('o1'));
  await until(() => gateway.status.lent === 1, soon('the offer'));
  c.master.answer = ({ call }, response) => {
    if (call.type !== 'ACCEPT') return false;
    response.destroy();
    return true;
  };
  assert.equal((await c.call(1, 'accept', accept('o1'))).outcome, 'unknown');
  await until(
    () => c.master.heard.some(({ call }) => call.type === 'DECLINE'),
    soon('the decline', 3000),
  );
  const types = c.master.heard.map(({ call }) => call.type);
  assert.deepEqual(types, ['SUBSCRIBE', 'ACCEPT', 'DECLINE']);
});

test('gateway: a call of an old epoch, or before a subscription stands, is not sent', async (t) => {
  const c = await cluster(t);
  const gateway = await c.gateway('g1');
  await c.subscribe(gateway);
  const heard = c.master.heard.length;
  c.master.endStreams('clean');
  await c.subscribe(gateway, 'master-1', heard);
  const old = c.call(1, 'revive', { type: 'REVIVE' });
  await assert.rejects(old, (error) => error instanceof NoResponderError);
  assert.equal((await c.call(2, 'revive', { type: 'REVIVE' })).outcome, 'sent');
  const crossed = await c.call(2, 'kill', { type: 'REVIVE' });
  assert.match(crossed.message ?? '', /REVIVE came as kill/);
  const unknown = await c.bus.request(c.subjects.call(2, 'kill'), new Uint8Array([0x10, 0x00]), {
    timeoutMs: 5000,
  });
  assert.match(Buffer.from(unknown.data).toString(), /refused/);
  assert.equal(c.master.heard.filter(({ call }) => call.type === 'REVIVE').length, 1);
});

test('gateway: an event is asked again until it is answered; what nobody takes is missed', async (t) => {
  const c = await cluster(t);
  const asked: BusMessage[] = [];
  c.bus.subscribe(c.subjects.everyUpdate, 'updates', (message) => {
    asked.push(message);
    if (asked.length > 1 && message.reply !== undefined) {
      c.bus.publish(message.reply, encodeJson({ status: 'ok' }));
    }
  });
  const gateway = await c.gateway('g1');
  await c.subscribe(gateway);
  const status = { task_id: { value: 'taskmanager-00001' }, state: 'TASK_RUNNING' } as const;
  c.master.send({ type: 'UPDATE', update: { status } });
  await until(() => asked.length === 2, soon('the second request'));
  assert.equal(asked[0]?.subject, c.subjects.update('taskmanager-00001'));
  const decoded = decodeEvent(asked[1]?.data ?? new Uint8Array(), 'protobuf');
  assert.equal(decoded.update?.status.state, 'TASK_RUNNING');
  // Nobody hears SUBSCRIBED here: it is given up after 5 tries.
  await until(
    () => c.ticks.filter(({ missed }) => missed === 1).length > 1,
    soon('missed in a tick', 15_000),
  );
  assert.equal(asked.length, 2);
});

test('gateway: a burst of updates waits for its turn and loses none', async (t) => {
  const c = await cluster(t);
  const asked = new Set<string>();
  let atOnce = 0;
  let most = 0;
  c.bus.subscribe(c.subjects.everyUpdate, 'updates', ({ subject, reply }) => {
    asked.add(subject);
    atOnce += 1;
    most = Math.max(most, atOnce);
    setTimeout(() => {
      atOnce -= 1;
      if (reply !== undefined) c.bus.publish(reply, encodeJson({ status: 'ok' }));
    }, 20);
  });
  const gateway = await c.gateway('g1');
  await c.subscribe(gateway);
  for (let n = 1; n <= 1000; n++) {
    const status = { task_id: { value: `taskmanager-${n}` }, state: 'TASK_RUNNING' } as const;
    c.master.send({ type: 'UPDATE', update: { status } });
  }
  await until(() => asked.size === 1000, soon('every update is asked about'));
  assert.ok(most <= 256, `${most} were unanswered at once`);
  assert.ok(c.ticks.every(({ missed }) => missed === 0));
});

test('gateway: a standby takes over with the same framework when the leader steps down', async (t) => {
  const c = await cluster(t);
  const first = await c.gateway('g1');
  const id = await c.subscribe(first);
  const second = await c.gateway('g2');
  await second.ready;
  assert.equal(second.status.leads, false);
  const heard = c.master.heard.length;
  await first.stop();
  assert.deepEqual(await first.finished, { kind: 'stopped' });
  assert.equal(await c.subscribe(second, 'master-1', heard), id);
  const record = await c.framework();
  assert.deepEqual([record.epoch, record.gateway], [2, 'g2']);
  assert.ok(!c.master.heard.some(({ call }) => call.type === 'TEARDOWN'));
});

test('gateway: told that it failed over, it stands by for another epoch and goes on for its own', async (t) => {
  const c = await cluster(t);
  const gateway = await c.gateway('g1');
  await c.subscribe(gateway);
  const heard = c.master.heard.length;
  c.master.send({ type: 'ERROR', error: { message: 'Framework failed over' } });
  c.master.endStreams('clean');
  await c.subscribe(gateway, 'master-1', heard);
  assert.equal((await c.framework()).epoch, 2);
  await c.setFramework({ epoch: 3, gateway: 'g2' });
  c.master.send({ type: 'ERROR', error: { message: 'Framework failed over' } });
  await until(() => !gateway.status.leads, soon('it has stepped down'));
});

test('gateway: a removed framework is fenced and replaced, an ending one is not', async (t) => {
  const c = await cluster(t);
  const gateway = await c.gateway('g1');
  const id = await c.subscribe(gateway);
  const heard = c.master.heard.length;
  c.master.send({ type: 'ERROR', error: { message: 'Framework has been removed' } });
  c.master.endStreams('clean');
  const next = await c.subscribe(gateway, 'master-1', heard);
  assert.notEqual(next, id);
  const record = await c.framework();
  assert.deepEqual([record.fenced, record.id, record.firstEpoch], [[id], next, 2]);
  await c.setFramework({ state: 'ending' });
  c.master.send({ type: 'ERROR', error: { message: 'Framework has been removed' } });
  c.master.endStreams('clean');
  await until(async () => (await c.framework()).state === 'removed', soon('removed'));
  await until(() => c.ticks.at(-1)?.subscribed === false, soon('a tick without subscription'));
  const types = c.master.heard.map(({ call }) => call.type);
  assert.equal(types.filter((type) => type === 'SUBSCRIBE').length, 2);
  await c.setFramework({ state: 'ended' });
  assert.deepEqual(await gateway.finished, { kind: 'ended' });
});

test('gateway: TEARDOWN and the end of the stream mean removed; who starts later begins anew', async (t) => {
  const c = await cluster(t);
  const leader = await c.gateway('g1');
  const id = await c.subscribe(leader);
  const standby = await c.gateway('g2');
  await standby.ready;
  await c.setFramework({ state: 'ending' });
  c.master.answer = ({ call }) => {
    if (call.type === 'TEARDOWN') c.master.endStreams('clean');
    return false;
  };
  const outcome = await c.call(1, 'teardown', { type: 'TEARDOWN' });
  assert.equal(outcome.outcome, 'sent');
  await until(async () => (await c.framework()).state === 'removed', soon('removed'));
  const result = { status: 'SUCCEEDED', why: 'test', at: 1 } as const;
  await c.setFramework({ state: 'ended', result });
  assert.deepEqual(await leader.finished, { kind: 'ended' });
  assert.deepEqual(await standby.finished, { kind: 'ended' });
  const heard = c.master.heard.length;
  const later = await c.gateway('g3');
  const next = await c.subscribe(later, 'master-1', heard);
  assert.notEqual(next, id);
  const record = await c.framework();
  assert.deepEqual([record.state, record.epoch, record.firstEpoch], ['active', 2, 2]);
  assert.equal(record.result, undefined);
});

test('gateway: the same configuration is no new generation, another one is, overrides last', async (t) => {
  const c = await cluster(t);
  const first = await c.gateway('g1');
  await c.subscribe(first);
  const spec = async () => {
    const read = await readRecord(c.store, c.paths.spec, specRecord);
    assert.ok(read);
    return read;
  };
  const { value, version } = await spec();
  assert.deepEqual([value.generation, value.cluster], [1, c.name]);
  const set: SpecRecord = { ...value, overrides: { target: 7 } };
  const data = JSON.stringify(set);
  await c.store.commit([{ kind: 'set', path: c.paths.spec, version, data }]);
  await first.stop();
  let heard = c.master.heard.length;
  const second = await c.gateway('g2');
  await c.subscribe(second, 'master-1', heard);
  assert.equal((await spec()).value.generation, 1);
  const other = plainSettings();
  const changed = { ...other, networkResource: 'bandwidth' };
  const standby = await c.gateway('g3', changed);
  await until(() => standby.status.unready?.includes('differs'), soon('the standby is not ready'));
  heard = c.master.heard.length;
  await second.stop();
  await c.subscribe(standby, 'master-1', heard);
  const after = (await spec()).value;
  assert.deepEqual([after.generation, after.overrides], [2, { target: 7 }]);
  assert.equal(after.configured.networkResource, 'bandwidth');
});

test('gateway: at its start a master that refuses or is away ends it with the key and the remedy', async (t) => {
  const c = await cluster(t);
  c.master.answer = (_heard, response) => {
    response.writeHead(401).end('401 Unauthorized.');
    return true;
  };
  const refused = await (await c.gateway('g1', plainSettings(), 60_000)).finished;
  assert.ok(refused.kind === 'failed');
  assert.match(refused.error.message, /framework\.principal: .*401.*check it and its secret/);
  c.master.stopListening();
  const away = await (await c.gateway('g2', plainSettings(), 500)).finished;
  assert.ok(away.kind === 'failed');
  assert.match(away.error.message, /mesos\.master: .*ECONNREFUSED.*runs$/);
});

test('gateway: without heartbeats the stream is given up and made anew', async (t) => {
  const c = await cluster(t);
  const gateway = await c.gateway('g1');
  await until(() => c.master.streams === 1, soon('a stream'));
  const id = c.master.heard[0]?.call.framework_id?.value ?? '';
  const { subscribed: facts } = subscribed(id, 'master-1');
  assert.ok(facts);
  const event = { type: 'SUBSCRIBED', subscribed: { ...facts, heartbeat_interval_seconds: 0.5 } };
  c.master.send(event as SchedulerEvent);
  await until(() => gateway.status.subscribed, soon('subscribed'));
  await until(() => gateway.status.epoch === 2, soon('the next epoch'));
});
