import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { findMasters } from '#gateway/mesos/detect.ts';
import { encodeJson } from '#proto/messages.ts';
import { systemClock } from '#runtime/clock.ts';
import { connectStore } from '#runtime/store/zookeeper.ts';
import { until } from '#test/world/until.ts';
import { type Ground, startGround, TestCluster } from './gateway-world.ts';

async function cluster(t: TestContext): Promise<[TestCluster, Ground]> {
  const ground = await startGround();
  t.after(() => ground.stop());
  const started = await TestCluster.start(ground);
  t.after(() => started.stop());
  return [started, ground];
}

const soon = (what: string) => ({ what, deadlineMs: 15_000 });

test('gateway: without contact to ZooKeeper it leaves Mesos by its own clock, and comes back', async (t) => {
  const [c, ground] = await cluster(t);
  const gateway = await c.gateway('g1');
  const id = await c.subscribe(gateway);
  const began = Date.now();
  ground.zookeeper.freeze(0);
  await until(() => c.master.streams === 0, soon('the stream is closed'));
  const tookMs = Date.now() - began;
  assert.equal(gateway.status.leads, false);
  // 2/3 of the session of 4 s, before the servers could give the lead to another.
  assert.ok(tookMs < 4000, `${tookMs} ms`);
  const heard = c.master.heard.length;
  ground.zookeeper.thaw(0);
  assert.equal(await c.subscribe(gateway, 'master-1', heard), id);
  assert.ok(!c.master.heard.some(({ call }) => call.type === 'TEARDOWN'));
});

test('gateway: a lead that is lost while the master is being looked for sends no SUBSCRIBE', async (t) => {
  const [c, ground] = await cluster(t);
  let looks = 0;
  let found = (): void => {};
  const find = async () => {
    looks += 1;
    if (looks === 1) {
      await new Promise<void>((resolve) => {
        found = resolve;
      });
    }
    return [c.master.origin];
  };
  const gateway = await c.gateway('g1', undefined, undefined, { find, close: async () => {} });
  await until(() => looks === 1, soon('the master is looked for'));
  ground.zookeeper.freeze(0);
  await until(() => !gateway.status.leads, soon('the lead is lost by its own clock'));
  found();
  ground.zookeeper.thaw(0);
  await c.subscribe(gateway);
  assert.equal(c.master.heard.length, 1, 'only the SUBSCRIBE of the lead that came after it');
});

test('gateway: while NATS is away the subscription stands; calls and events pass again after it', async (t) => {
  const [c, ground] = await cluster(t);
  const gateway = await c.gateway('g1');
  await c.subscribe(gateway);
  let updates = 0;
  c.bus.subscribe(c.subjects.everyUpdate, 'updates', (message) => {
    updates += 1;
    c.bus.publish(message.reply ?? '', encodeJson({ status: 'ok' }));
  });
  await ground.nats.kill();
  await until(() => gateway.status.unready?.includes('NATS'), soon('not ready without NATS'));
  const status = { task_id: { value: 'taskmanager-00001' }, state: 'TASK_RUNNING' } as const;
  c.master.send({ type: 'UPDATE', update: { status } });
  await ground.nats.restart();
  await until(() => updates === 1, soon('the update after all'));
  const ticks = c.ticks.length;
  await until(() => c.ticks.length > ticks, soon('ticks'));
  assert.equal((await c.call(1, 'revive', { type: 'REVIVE' })).outcome, 'sent');
  assert.equal(gateway.status.epoch, 1);
});

test('master: zk:// finds the leader in a real ZooKeeper, and the next one after it', async (t) => {
  const [c, ground] = await cluster(t);
  const { servers } = ground.zookeeper;
  const announce = async (port: number) => {
    await c.store.ensure('/mesos');
    const info = { address: { ip: '127.0.0.1', port } };
    return c.store.createEphemeralSequential('/mesos/json.info_', JSON.stringify(info));
  };
  const masters = findMasters(`zk://${servers}/mesos`, (quorum) =>
    connectStore({ servers: quorum, sessionTimeoutMs: 4000, clock: systemClock }),
  );
  t.after(() => masters.close());
  assert.deepEqual(await masters.find(), []);
  const first = await announce(5051);
  await announce(5052);
  assert.deepEqual(await masters.find(), ['http://127.0.0.1:5051']);
  await c.store.discard(first);
  assert.deepEqual(await masters.find(), ['http://127.0.0.1:5052']);
});
