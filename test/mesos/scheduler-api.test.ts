import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { test } from 'node:test';
import { mediaTypes } from '#proto/mesos/codec.ts';
import { until } from '#test/world/until.ts';
import { post, Scheduler } from './scheduler.ts';
import { onStage } from './stage.ts';

const json = { 'content-type': mediaTypes.json, accept: mediaTypes.json };
const framework = { user: 'root', name: 'rec-08', failover_timeout: 30 };
const subscribe = { type: 'SUBSCRIBE', subscribe: { framework_info: framework } };

test('mesos: what is wrong in the form of a call is refused as recorded', async () => {
  await onStage([], async ({ address }) => {
    const refused = async (
      status: number,
      words: string,
      body: unknown,
      headers: Readonly<Record<string, string>> = json,
    ): Promise<void> => {
      const raw = typeof body === 'string' ? body : JSON.stringify(body);
      const reply = await post(address, { body: raw, headers });
      assert.deepEqual([reply.status, reply.body], [status, words]);
      assert.equal(reply.headers['content-type'], 'text/plain; charset=utf-8');
    };
    const validate = 'Failed to validate scheduler::Call:';
    const convert = 'Failed to convert JSON into Call protobuf:';
    const types = "Expecting 'Content-Type' of application/json or application/x-protobuf";
    const both = "'framework_id' differs from 'subscribe.framework_info.id'";
    await refused(400, 'Failed to parse body into JSON: syntax error at line 1 near: ', '');
    await refused(400, 'Failed to parse body into JSON: syntax error at line 1 near: ', '{"type"');
    await refused(400, `${convert} Expecting a JSON object`, []);
    await refused(400, `${validate} Expecting 'type' to be present`, { nope: 1 });
    await refused(400, `${validate} Expecting 'type' to be present`, { type: 'NO_SUCH' });
    await refused(400, `${convert} Not expecting a JSON number for field 'user'`, {
      type: 'SUBSCRIBE',
      subscribe: { framework_info: { user: 7, name: 'x' } },
    });
    await refused(400, `${validate} Expecting 'subscribe' to be present`, { type: 'SUBSCRIBE' });
    await refused(400, `${convert} Missing required fields: subscribe.framework_info`, {
      type: 'SUBSCRIBE',
      subscribe: {},
    });
    await refused(400, `${convert} Missing required fields: subscribe.framework_info.name`, {
      type: 'SUBSCRIBE',
      subscribe: { framework_info: { user: 'root' } },
    });
    await refused(400, `${validate} ${both}`, { ...subscribe, framework_id: { value: 'a' } });
    await refused(400, "Expecting 'Content-Type' to be present", subscribe, {
      accept: mediaTypes.json,
    });
    await refused(415, types, subscribe, { 'content-type': 'application/json; charset=utf-8' });
    await refused(415, types, subscribe, { 'content-type': 'text/plain' });
    await refused(
      406,
      "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'",
      subscribe,
      {
        'content-type': mediaTypes.json,
        accept: 'application/recordio',
      },
    );
    const protobuf = { 'content-type': mediaTypes.protobuf, accept: mediaTypes.protobuf };
    await refused(400, `${validate} Expecting 'type' to be present`, '', protobuf);
    await refused(400, 'Failed to parse body into Call protobuf', 'no protobuf', protobuf);
    await refused(
      400,
      "Subscribe calls should not include the 'Mesos-Stream-Id' header",
      subscribe,
      { ...json, 'mesos-stream-id': 'x' },
    );
  });
});

test('mesos: wrong methods and paths, and calls that are not of the stream, are refused as recorded', async () => {
  await onStage([], async ({ address }) => {
    const got = await post(address, { method: 'GET', body: '', headers: json });
    const words = "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'.";
    assert.deepEqual([got.status, got.headers.allow, got.body], [405, 'POST', words]);
    const path = '/api/v0/scheduler';
    const lost = await post(address, { path, body: JSON.stringify(subscribe), headers: json });
    assert.deepEqual([lost.status, lost.body], [404, '404 Not Found.']);
    const scheduler = await Scheduler.subscribe(address);
    const framework_id = { value: scheduler.frameworkId };
    const call = async (value: unknown, streamId?: string): Promise<readonly unknown[]> => {
      const stream: Readonly<Record<string, string>> =
        streamId === undefined ? {} : { 'Mesos-Stream-Id': streamId };
      const headers = { ...json, ...stream };
      const path = '/master/api/v1/scheduler';
      const { status, body } = await post(address, { path, body: JSON.stringify(value), headers });
      return [status, body];
    };
    const validate = 'Failed to validate scheduler::Call:';
    const revive = { type: 'REVIVE', framework_id };
    const own = scheduler.streamId;
    assert.deepEqual(await call(revive, own), [202, '']);
    assert.deepEqual(await call(revive), [
      400,
      "All non-subscribe calls should include the 'Mesos-Stream-Id' header",
    ]);
    const stale = `The stream ID 'zzz' included in this request didn't match the stream ID currently associated with framework ID ${framework_id.value}`;
    assert.deepEqual(await call(revive, 'zzz'), [400, stale]);
    assert.deepEqual(await call({ type: 'REVIVE' }, own), [
      400,
      `${validate} Expecting 'framework_id' to be present`,
    ]);
    const other = { type: 'REVIVE', framework_id: { value: 'no-such' } };
    assert.deepEqual(await call(other, own), [400, 'Framework cannot be found']);
    assert.deepEqual(await call({ type: 'ACCEPT', framework_id }, own), [
      400,
      `${validate} Expecting 'accept' to be present`,
    ]);
    const x = { value: 'x' };
    for (const uuid of ['AAAA', 'AAAAAAAAAAAAAAAAAAAAAA==']) {
      const acknowledge = { agent_id: x, task_id: x, uuid };
      const answer = await call({ type: 'ACKNOWLEDGE', framework_id, acknowledge }, own);
      assert.deepEqual(answer, [400, `${validate} Not a valid UUID`]);
    }
    await scheduler.close();
  });
});

test('mesos: events are JSON whenever Accept allows it, and protobuf only when it alone is named', async () => {
  await onStage([], async ({ address }) => {
    const typeFor = async (accept: string | undefined): Promise<string | undefined> => {
      const abort = new AbortController();
      const response = await fetch(`http://${address}/api/v1/scheduler`, {
        method: 'POST',
        body: JSON.stringify(subscribe),
        headers: { 'content-type': mediaTypes.json, ...(accept === undefined ? {} : { accept }) },
        signal: abort.signal,
      });
      const type = response.headers.get('content-type') ?? undefined;
      assert.match(response.headers.get('mesos-stream-id') ?? '', /^[0-9a-f-]{36}$/);
      abort.abort();
      return type;
    };
    assert.equal(await typeFor(undefined), mediaTypes.json);
    assert.equal(await typeFor('*/*'), mediaTypes.json);
    assert.equal(
      await typeFor(`${mediaTypes.protobuf};q=1, ${mediaTypes.json};q=0.1`),
      mediaTypes.json,
    );
    assert.equal(await typeFor(mediaTypes.protobuf), mediaTypes.protobuf);
  });
});

test('mesos: subscribe, offers, decline, revive, teardown in both encodings', async () => {
  const args = [
    '--simulate-agents=2',
    '--simulate-resources=cpus:4;mem:4096;disk:10240;ports:[31000-31999]',
    '--simulate-attributes=rack:r1',
    '--allocation-interval=0.2',
  ];
  await onStage(args, async ({ address }) => {
    for (const encoding of ['json', 'protobuf'] as const) {
      const scheduler = await Scheduler.subscribe(address, { encoding });
      await until(() => scheduler.offers.length === 2, { deadlineMs: 5000, what: 'two offers' });
      assert.deepEqual(
        scheduler.events.map(({ type }) => type),
        ['SUBSCRIBED', 'HEARTBEAT', 'OFFERS'],
      );
      const subscribed = scheduler.events[0]?.subscribed;
      assert.equal(subscribed?.heartbeat_interval_seconds, 15);
      assert.equal(subscribed?.master_info?.version, '1.12.0');
      assert.equal(subscribed?.master_info?.ip, 16777343);
      const [offer] = scheduler.offers;
      assert.deepEqual(
        offer?.resources?.map(({ name, role }) => [name, role]),
        [
          ['ports', '*'],
          ['cpus', '*'],
          ['mem', '*'],
          ['disk', '*'],
        ],
      );
      assert.deepEqual(offer?.attributes, [{ name: 'rack', type: 'TEXT', text: { value: 'r1' } }]);
      assert.equal(offer?.url?.path, '/slave(1)');
      const decline = {
        offer_ids: scheduler.offers.map(({ id }) => id),
        filters: { refuse_seconds: 3600 },
      };
      const reply = await scheduler.call({ type: 'DECLINE', decline });
      assert.deepEqual([reply.status, reply.body, reply.headers['content-length']], [202, '', '0']);
      await scheduler.call({ type: 'REVIVE' });
      await until(() => scheduler.offers.length === 4, { deadlineMs: 1000, what: 'offers again' });
      assert.equal((await scheduler.call({ type: 'TEARDOWN' })).status, 202);
      await until(() => scheduler.ended, { deadlineMs: 1000, what: 'the stream ends' });
      assert.ok(!scheduler.events.some(({ type }) => type === 'ERROR'));
      await scheduler.close();
    }
  });
});

test('mesos: a request for what is no address is refused, and master and agent serve on', async () => {
  await onStage([], async (stage) => {
    const agent = await stage.startAgent('agent');
    for (const address of [stage.address, `127.0.0.1:${agent.facts.port}`]) {
      // No client that checks its addresses sends these.
      for (const path of ['//', '//[', 'http://[']) {
        assert.equal(await statusOf(address, path), 400, `${address} ${path}`);
      }
      assert.equal(await statusOf(address, '/health'), 200);
    }
  });
});

function statusOf(address: string, path: string): Promise<number | undefined> {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    const asked = httpRequest({ host, port, path }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asked.once('error', reject);
    asked.end();
  });
}
