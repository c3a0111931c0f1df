import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findMasters } from '#gateway/mesos/detect.ts';
import { HttpMesos } from '#gateway/mesos/http.ts';
import { SubscribeError } from '#gateway/mesos/mesos.ts';
import { subscribeCall } from '#gateway/mesos/subscribe.ts';
import { clusterSettingsOf } from '#gateway/spec/cluster.ts';
import { encodeCall } from '#proto/mesos/codec.ts';
import { Configuration } from '#runtime/config/configuration.ts';
import { freePort } from '#test/world/ports.ts';
import { until } from '#test/world/until.ts';
import { startFakeMaster, subscribed } from './fake-master.ts';

const settings = clusterSettingsOf(new Configuration([]), { user: 'u', hostname: 'h' });
const subscribe = subscribeCall(settings.framework, 'drey-1', false);
const call = (type: 'REVIVE' | 'SUPPRESS' | 'RECONCILE') =>
  encodeCall({ type, framework_id: { value: 'drey-1' }, reconcile: {} }, 'protobuf');

function mesosAt(master: string, credential?: { principal: string; secret: string }): HttpMesos {
  const masters = findMasters(master, () => Promise.reject(new Error('no ZooKeeper here')));
  return new HttpMesos({ masters, credential });
}

const deaf = { wanted: true, event: () => {}, closed: () => {} };

test('mesos: events arrive as sent, a clean end and a cut are told apart', async (t) => {
  const master = await startFakeMaster();
  t.after(() => master.stop());
  const mesos = mesosAt(master.origin);
  const events: Uint8Array[] = [];
  const ends: (Error | undefined)[] = [];
  const listener = {
    wanted: true,
    event: (bytes: Uint8Array) => events.push(Buffer.from(bytes)),
    closed: (error?: Error) => ends.push(error),
  };
  const stream = await mesos.subscribe(subscribe, listener);
  assert.equal(master.heard[0]?.headers['mesos-stream-id'], undefined);
  master.send(subscribed('drey-1', 'm1'));
  await until(() => events.length === 1, { deadlineMs: 5000, what: 'the event' });
  master.endStreams('clean');
  await until(() => ends.length === 1, { deadlineMs: 5000, what: 'the end' });
  assert.equal(ends[0], undefined);
  const late = await mesos.call(stream.streamId, call('REVIVE'), true);
  assert.equal(late.outcome, 'refused');
  await mesos.subscribe(subscribe, listener);
  master.endStreams('cut');
  await until(() => ends.length === 2, { deadlineMs: 5000, what: 'the cut' });
  assert.ok(ends[1] instanceof Error);
  await mesos.close();
});

test('mesos: a recorded stream of a real master is heard whole', async (t) => {
  const file = join(import.meta.dirname, '../recordings/01-subscribe-protobuf/transcript.jsonl');
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  const chunks = lines
    .map((line) => JSON.parse(line) as Readonly<Record<string, string>>)
    .filter((line) => line.kind === 'event' && line.conn === 'c1')
    .map(({ frame, body_b64: body = '' }) =>
      Buffer.concat([Buffer.from(frame ?? ''), Buffer.from(body, 'base64')]),
    );
  const master = await startFakeMaster();
  t.after(() => master.stop());
  master.answer = (_heard, response) => {
    const type = 'application/x-protobuf';
    response.writeHead(200, { 'Content-Type': type, 'Mesos-Stream-Id': 's' });
    for (const chunk of chunks) response.write(chunk);
    response.end();
    return true;
  };
  const mesos = mesosAt(master.origin);
  const heard: number[] = [];
  await new Promise<void>((resolve, reject) => {
    const closed = (error?: Error) => (error === undefined ? resolve() : reject(error));
    const event = (bytes: Uint8Array) => heard.push(bytes.length);
    mesos.subscribe(subscribe, { wanted: true, event, closed }).catch(reject);
  });
  assert.ok(chunks.length > 3);
  assert.equal(heard.length, chunks.length);
  await mesos.close();
});

test('mesos: calls carry stream id and credentials; ordered ones arrive in order on one connection', async (t) => {
  const master = await startFakeMaster();
  t.after(() => master.stop());
  const mesos = mesosAt(master.origin, { principal: 'p', secret: 's' });
  const stream = await mesos.subscribe(subscribe, deaf);
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, (_, at) =>
      mesos.call(stream.streamId, call(at % 2 === 0 ? 'REVIVE' : 'SUPPRESS'), true),
    ),
  );
  assert.ok(outcomes.every(({ outcome, status }) => outcome === 'sent' && status === 202));
  const calls = master.heard.slice(1);
  const types = calls.map((heard) => heard.call.type);
  assert.deepEqual(
    types,
    Array.from({ length: 40 }, (_, at) => (at % 2 ? 'SUPPRESS' : 'REVIVE')),
  );
  assert.equal(new Set(calls.map(({ connection }) => connection)).size, 1);
  assert.ok(calls.every(({ headers }) => headers['mesos-stream-id'] === stream.streamId));
  const basic = `Basic ${Buffer.from('p:s').toString('base64')}`;
  assert.ok(master.heard.every(({ headers }) => headers.authorization === basic));
  await mesos.call(stream.streamId, call('RECONCILE'), false);
  assert.notEqual(master.heard.at(-1)?.connection, calls[0]?.connection);
  stream.close();
  await mesos.close();
});

test('mesos: calls that wait behind the end of their stream or of the lead are not sent', async (t) => {
  const master = await startFakeMaster();
  t.after(() => master.stop());
  for (const ended of ['stream', 'lead']) {
    const mesos = mesosAt(master.origin);
    let wanted = true;
    const listener = {
      event: () => {},
      closed: () => {},
      get wanted() {
        return wanted;
      },
    };
    const stream = await mesos.subscribe(subscribe, listener);
    const answers: (() => void)[] = [];
    master.answer = (_heard, response) => {
      answers.push(() => response.writeHead(202).end());
      return true;
    };
    const before = master.heard.length;
    // One connection for what is ordered, two for the rest.
    const first = [call('REVIVE'), call('RECONCILE'), call('RECONCILE')];
    const sent = first.map((one, at) => mesos.call(stream.streamId, one, at === 0));
    const behind = [call('SUPPRESS'), call('RECONCILE'), call('RECONCILE'), call('RECONCILE')];
    const refused = behind.map((one, at) => mesos.call(stream.streamId, one, at === 0));
    await until(() => answers.length === 3, { deadlineMs: 5000, what: 'the first calls' });
    if (ended === 'stream') stream.close();
    else wanted = false;
    for (const answer of answers) answer();
    const outcomes = (await Promise.all([...sent, ...refused])).map(({ outcome }) => outcome);
    assert.deepEqual(outcomes.slice(0, 3), ['sent', 'sent', 'sent']);
    assert.ok(
      outcomes.slice(3).every((outcome) => outcome !== 'sent'),
      `${ended}: ${outcomes}`,
    );
    assert.equal(master.heard.length, before + 3, ended);
    stream.close();
    await mesos.close();
    master.answer = undefined;
  }
});

test('mesos: a redirect is followed for the subscription and for all its calls', async (t) => {
  const leader = await startFakeMaster();
  const follower = await startFakeMaster();
  t.after(() => Promise.all([leader.stop(), follower.stop()]));
  follower.answer = (_heard, response) => {
    const location = `//127.0.0.1:${leader.port}/master/api/v1/scheduler`;
    response.writeHead(307, { Location: location }).end();
    return true;
  };
  const mesos = mesosAt(follower.origin);
  const stream = await mesos.subscribe(subscribe, deaf);
  assert.equal((await mesos.call(stream.streamId, call('REVIVE'), true)).outcome, 'sent');
  assert.deepEqual(
    leader.heard.map(({ path }) => path),
    ['/master/api/v1/scheduler', '/master/api/v1/scheduler'],
  );
  stream.close();
  leader.answer = (_heard, response) => {
    response.writeHead(307, { Location: `//127.0.0.1:${follower.port}/x` }).end();
    return true;
  };
  await assert.rejects(mesos.subscribe(subscribe, deaf), /redirected more than 5 times/);
  await mesos.close();
});

test('mesos: what refuses a subscription is told with status and text', async (t) => {
  const master = await startFakeMaster();
  t.after(() => master.stop());
  const mesos = mesosAt(`127.0.0.1:1,127.0.0.1:${master.port}`);
  const answers = [
    { status: 503, text: 'No leader elected', hopeless: false },
    { status: 401, text: '401 Unauthorized.', hopeless: true },
    { status: 404, text: '', hopeless: true },
    { status: 200, text: '', hopeless: true },
  ];
  for (const { status, text, hopeless } of answers) {
    master.answer = (_heard, response) => {
      response.writeHead(status, { 'Retry-After': '2' }).end(text);
      return true;
    };
    const matches = (error: unknown) => {
      assert.ok(error instanceof SubscribeError);
      assert.equal(error.status, status);
      assert.equal(error.hopeless, hopeless);
      if (status !== 200) assert.equal(error.retryAfterMs, 2000);
      assert.ok(error.message.includes(text));
      return true;
    };
    await assert.rejects(mesos.subscribe(subscribe, deaf), matches);
  }
  await mesos.close();
  const gone = mesosAt(`127.0.0.1:${await freePort()}`);
  await assert.rejects(gone.subscribe(subscribe, deaf), /does not answer: .*ECONNREFUSED/);
});

test('mesos: a call is sent, refused or unknown, and never sent twice', async (t) => {
  const master = await startFakeMaster();
  t.after(() => master.stop());
  const mesos = mesosAt(master.origin);
  const stream = await mesos.subscribe(subscribe, deaf);
  const status = (code: number, text: string) => {
    master.answer = (_heard, response) => {
      response.writeHead(code).end(text);
      return true;
    };
    return mesos.call(stream.streamId, call('REVIVE'), true);
  };
  const refused = { outcome: 'refused', status: 400, message: 'Framework cannot be found' };
  assert.deepEqual(await status(400, 'Framework cannot be found'), refused);
  assert.equal((await status(500, 'oh')).outcome, 'unknown');
  assert.equal((await status(307, '')).outcome, 'refused');
  master.answer = (_heard, response) => {
    response.destroy();
    return true;
  };
  const before = master.heard.length;
  assert.equal((await mesos.call(stream.streamId, call('REVIVE'), true)).outcome, 'unknown');
  assert.equal((await mesos.call(stream.streamId, call('RECONCILE'), false)).outcome, 'unknown');
  assert.equal(master.heard.length, before + 2);
  stream.close();
  await mesos.close();
});

test('mesos: a call that finds no master listening is certainly not sent', async () => {
  // A master that takes the subscription, then closes its door: new connections are refused.
  const master = await startFakeMaster();
  const mesos = mesosAt(master.origin);
  const stream = await mesos.subscribe(subscribe, deaf);
  master.stopListening();
  const outcome = await mesos.call(stream.streamId, call('REVIVE'), true);
  assert.equal(outcome.outcome, 'refused');
  stream.close();
  await mesos.close();
});

test('mesos: whoever leads no more sends neither SUBSCRIBE nor a call', async (t) => {
  const master = await startFakeMaster();
  const follower = await startFakeMaster();
  t.after(() => Promise.all([master.stop(), follower.stop()]));
  const listener = { ...deaf };
  const find = async () => {
    listener.wanted = false;
    return [master.origin];
  };
  const late = new HttpMesos({ masters: { find, close: async () => {} } });
  await assert.rejects(late.subscribe(subscribe, listener), /leads no more; nothing was sent/);
  follower.answer = (_heard, response) => {
    listener.wanted = false;
    response.writeHead(307, { Location: `//127.0.0.1:${master.port}/api/v1/scheduler` }).end();
    return true;
  };
  listener.wanted = true;
  const redirected = mesosAt(follower.origin);
  await assert.rejects(
    redirected.subscribe(subscribe, listener),
    /leads no more; nothing was sent/,
  );
  assert.equal(master.heard.length, 0);
  listener.wanted = true;
  const mesos = mesosAt(master.origin);
  const stream = await mesos.subscribe(subscribe, listener);
  listener.wanted = false;
  for (const ordered of [true, false]) {
    const { outcome, message } = await mesos.call(stream.streamId, call('REVIVE'), ordered);
    assert.deepEqual(
      [outcome, message],
      ['refused', 'this gateway leads no more; nothing was sent'],
    );
  }
  assert.equal(master.heard.length, 1);
  stream.close();
  await Promise.all([mesos, late, redirected].map((each) => each.close()));
});
