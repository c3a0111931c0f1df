import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { chunkOffers } from '#gateway/mesos/chunks.ts';
import { findMasters, originOf, parseMaster } from '#gateway/mesos/detect.ts';
import { LentOffers } from '#gateway/mesos/lent.ts';
import { subscribeCall } from '#gateway/mesos/subscribe.ts';
import { clusterSettingsOf } from '#gateway/spec/cluster.ts';
import { decodeCall, decodeEvent, encodeCall, encodeEvent } from '#proto/mesos/codec.ts';
import type { Offer, SchedulerEvent } from '#proto/mesos/types.ts';
import { Configuration } from '#runtime/config/configuration.ts';

function offer(id: number, agent: number): Offer {
  return {
    id: { value: `offer-${id}` },
    framework_id: { value: 'drey-1' },
    agent_id: { value: `agent-${agent}` },
    hostname: `host-${agent}`,
    resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 1 + id } }],
  };
}

test('chunks: no offer is lost or torn, agents stay together, limits are kept', () => {
  const agents = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(agents, fc.integer({ min: 50, max: 4000 }), (owners, maxBytes) => {
      const event: SchedulerEvent = {
        type: 'OFFERS',
        offers: { offers: owners.map((agent, id) => offer(id, agent)) },
      };
      const bytes = encodeEvent(event, 'protobuf');
      const chunks = chunkOffers(bytes, event.offers?.offers ?? [], maxBytes);
      const decoded = chunks.map((chunk) => decodeEvent(chunk, 'protobuf').offers?.offers ?? []);
      const agentSets = decoded.map((each) => new Set(each.map((o) => o.agent_id.value)));
      const seen = decoded.flat().map((each) => each.id.value);
      assert.equal(new Set(seen).size, owners.length);
      assert.equal(seen.length, owners.length);
      const together = agentSets.reduce((sum, set) => sum + set.size, 0);
      assert.equal(together, new Set(owners).size);
      for (const [at, chunk] of chunks.entries()) {
        assert.ok(chunk.length <= maxBytes + 16 || agentSets[at]?.size === 1);
      }
    }),
    { numRuns: 60 },
  );
});

test('chunks: an event within the limit passes byte by byte as Mesos sent it', () => {
  const bytes = encodeEvent({ type: 'OFFERS', offers: { offers: [offer(1, 1)] } }, 'protobuf');
  assert.equal(chunkOffers(bytes, [offer(1, 1)], 10_000)[0], bytes);
});

test('lent: an offer that was answered, rescinded or never made is not ours to use', () => {
  const lent = new LentOffers();
  lent.add('a', 0);
  lent.add('b', 10);
  lent.add('c', 20);
  assert.deepEqual(lent.takeAll(['a', 'z']), { missing: 'z' });
  assert.equal(lent.size, 3);
  assert.deepEqual(lent.takeAll(['a']), {});
  assert.deepEqual(lent.takeAll(['a']), { missing: 'a' });
  lent.remove('b');
  assert.deepEqual(lent.takeHeld(['b', 'c']), ['c']);
  lent.add('d', 100);
  lent.add('e', 200);
  assert.deepEqual(lent.takeOlderThan(50, 160), { lent: ['d'], spent: [] });
  assert.equal(lent.size, 1);
  lent.clear();
  assert.equal(lent.size, 0);
});

test('lent: an offer that lapsed is only declined, whoever names it', () => {
  const lent = new LentOffers();
  lent.add('a', 0);
  assert.deepEqual(lent.takeOlderThan(50, 60), { lent: ['a'], spent: [] });
  lent.spend(['a'], 60);
  assert.deepEqual(lent.takeAll(['a']), { missing: 'a' });
  assert.deepEqual(lent.takeHeld(['a']), []);
  assert.deepEqual(lent.takeOlderThan(50, 110), { lent: [], spent: ['a'] });
  lent.spend(['a'], 110);
  lent.remove('a');
  assert.equal(lent.size, 0, 'RESCIND ends that too');
});

test('subscribe: the id stands in both places, roles are suppressed only when asked', () => {
  const { framework } = clusterSettingsOf(
    new Configuration([
      { key: 'mesos.resourcemanager.tasks.gpus', value: '1', origin: '-D' },
      { key: 'mesos.resourcemanager.framework.role', value: 'flink', origin: '-D' },
    ]),
    { user: 'u', hostname: 'h' },
  );
  const call = subscribeCall(framework, 'drey-1', true);
  assert.deepEqual(call.framework_id, call.subscribe?.framework_info.id);
  assert.deepEqual(call.subscribe?.suppressed_roles, ['flink']);
  const capabilities = call.subscribe?.framework_info.capabilities?.map(({ type }) => type);
  assert.ok(capabilities?.includes('GPU_RESOURCES') && capabilities.includes('PARTITION_AWARE'));
  assert.equal(call.subscribe?.framework_info.checkpoint, true);
  const back = decodeCall(encodeCall(call, 'protobuf'), 'protobuf');
  assert.equal(back.subscribe?.framework_info.failover_timeout, 604_800);
  assert.equal(subscribeCall(framework, 'drey-1', false).subscribe?.suppressed_roles, undefined);
});

test('master: every documented form is read, anything else is told with the forms', () => {
  const origins = (text: string) => {
    const place = parseMaster(text);
    return place.kind === 'addresses' ? place.origins : place;
  };
  assert.deepEqual(origins('h:5051'), ['http://h:5051']);
  assert.deepEqual(origins('h'), ['http://h:5050']);
  assert.deepEqual(origins('https://h:443/'), ['https://h']);
  assert.deepEqual(origins('a:1, http://b:2'), ['http://a:1', 'http://b:2']);
  assert.deepEqual(origins('zk://u:p@a:2181,b:2181/mesos'), {
    kind: 'zookeeper',
    servers: 'a:2181,b:2181',
    path: '/mesos',
    auth: 'u:p',
  });
  for (const wrong of ['', 'zk://a:2181', 'ftp://h:1', 'h:99999', 'file:///nowhere/at/all']) {
    assert.throws(() => parseMaster(wrong), /^ConfigurationError: mesos\.master: /, wrong);
  }
  const dir = mkdtempSync(join(tmpdir(), 'drey-master-'));
  writeFileSync(join(dir, 'm'), 'h:1\n');
  assert.deepEqual(origins(`file://${join(dir, 'm')}`), ['http://h:1']);
  rmSync(dir, { recursive: true });
});

test('master: in ZooKeeper the lowest number leads', async () => {
  const info = (port: number) =>
    JSON.stringify({ address: { hostname: 'h', ip: '127.0.0.1', port }, ip: 16777343, port });
  const nodes: Readonly<Record<string, string>> = {
    '/mesos/json.info_0000000012': info(5052),
    '/mesos/json.info_0000000007': info(5051),
  };
  const masters = findMasters('zk://z:2181/mesos', async () => ({
    list: async () => ['log_replicas', 'json.info_0000000012', 'json.info_0000000007'],
    read: async (path) => ({ path, data: nodes[path] ?? '', version: 0 }),
    close: async () => {},
  }));
  assert.deepEqual(await masters.find(), ['http://127.0.0.1:5051']);
  assert.equal(originOf('{"ip":16777343,"port":5050}'), 'http://127.0.0.1:5050');
  assert.equal(originOf('nonsense'), undefined);
});
