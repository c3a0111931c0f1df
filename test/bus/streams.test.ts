import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { StreamMessage, StreamOptions } from '#runtime/bus/bus.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import { BadMessageError, ConfigurationError, NoResponderError } from '#runtime/errors.ts';
import { startNats } from '#test/world/nats.ts';
import { until } from '#test/world/until.ts';
import { bus, bytes, full, server, text, versions } from './world.ts';

const commands: StreamOptions = {
  name: 'COMMANDS',
  subjects: ['do.*'],
  retention: 'workqueue',
  maxBytes: 10_000_000,
  maxAgeMs: 86_400_000,
};
const log: StreamOptions = {
  name: 'LOG',
  subjects: ['log.*'],
  retention: 'limits',
  maxBytes: 200_000_000,
  maxAgeMs: 60_000,
};
const oneByOne = { maxPending: 1, ackWaitMs: 1000 };
const soon = { deadlineMs: 15_000 };
const long = { deadlineMs: 60_000 };

for (const version of versions) {
  test(`bus: every appended message is stored, in any number (${version})`, async (t) => {
    const client = await bus(await server(t, version));
    await client.ensureStream(log);
    const count = full ? 100_000 : 10_000;
    const body = new Uint8Array(300);
    const begin = performance.now();
    const sequences: number[] = [];
    for (let sent = 0; sent < count; sent += 5000) {
      const appended = Array.from({ length: 5000 }, () => client.append('log.a', body));
      sequences.push(...(await Promise.all(appended)));
    }
    const seconds = (performance.now() - begin) / 1000;
    t.diagnostic(`${Math.round(count / seconds)} appends of 300 B per second`);
    assert.equal(new Set(sequences).size, count);
    assert.equal(Math.max(...sequences), count);
  });

  test(`bus: an append that no stream stores is an error (${version})`, async (t) => {
    const nats = await server(t, version);
    const client = await bus(nats);
    await assert.rejects(client.append('log.a', bytes('')), NoResponderError);
    client.subscribe('log.a', 'q', (message) => client.publish(message.reply ?? '', bytes('ok')));
    await assert.rejects(client.append('log.a', bytes('')), BadMessageError);
  });

  test(`bus: a stream that the server has otherwise is mended or told (${version})`, async (t) => {
    const client = await bus(await server(t, version));
    await Promise.all([client.ensureStream(commands), client.ensureStream(commands)]);
    await client.ensureStream({ ...commands, maxBytes: 5_000_000 });
    await client.ensureStream({ ...commands, maxAgeMs: 30_000 });
    await assert.rejects(
      client.ensureStream({ ...commands, retention: 'limits' }),
      (error: Error) => error instanceof ConfigurationError && error.message.includes('COMMANDS'),
    );
    await assert.rejects(
      client.ensureStream({ ...log, name: 'OTHER', subjects: ['do.*'] }),
      ConfigurationError,
    );
  });

  test(`bus: kept messages come one at a time over all copies, again until acknowledged (${version})`, async (t) => {
    const nats = await server(t, version);
    const client = await bus(nats);
    await client.ensureStream(commands);
    for (let n = 1; n <= 3; n++) await client.append('do.it', bytes(String(n)), { Id: `c${n}` });
    const held: StreamMessage[] = [];
    for (const copy of [await bus(nats), await bus(nats)]) {
      await copy.consume('COMMANDS', 'admin', oneByOne, (message) => held.push(message));
    }
    await until(() => held.length >= 2, { ...soon, what: 'the first is delivered twice' });
    assert.deepEqual(held.slice(0, 2).map(text), ['1', '1']);
    assert.deepEqual(
      held.slice(0, 2).map((message) => message.deliveries),
      [1, 2],
    );
    assert.equal(held[0]?.headers.Id, 'c1');
    assert.equal(held[0]?.reply, undefined);
    assert.match(held[0]?.streamCreated ?? '', /^\d{4}-\d\d-\d\dT/);
    held[1]?.ack();
    await until(() => held.some((m) => text(m) === '2'), { ...soon, what: 'the second comes' });
    const second = held.find((message) => text(message) === '2');
    assert.equal(second?.sequence, 2);
    second?.nak(10);
    const again = () => held.find((message) => text(message) === '2' && message.deliveries === 2);
    (await until(again, { ...soon, what: 'the second comes again' })).ack();
    const third = () => held.find((message) => text(message) === '3');
    (await until(third, { ...soon, what: 'the third comes' })).ack();
  });

  test(`bus: a durable consumer goes on after restarts of the server (${version})`, async (t) => {
    const nats = await server(t, version);
    const client = await bus(nats);
    await client.ensureStream(commands);
    const got: string[] = [];
    await client.consume('COMMANDS', 'admin', { maxPending: 1, ackWaitMs: 1000 }, (message) => {
      got.push(text(message));
      message.ack();
    });
    for (let round = 0; round < 3; round++) {
      const append = () => client.append('do.it', bytes(`r${round}`)).then(() => true);
      await until(append, { ...long, what: 'a command is stored' });
      // A request that the dying server took is noticed by its silence, a delivery lost comes again.
      await until(() => got.includes(`r${round}`), { ...long, what: 'the command is heard' });
      if (round === 0) await nats.kill();
      await nats.restart();
    }
  });

  test(`bus: what is replayed begins before the end and goes on with the new (${version})`, async (t) => {
    const nats = await server(t, version);
    const client = await bus(nats);
    await client.ensureStream(log);
    for (let n = 1; n <= 10; n++)
      await client.append(n % 2 ? 'log.odd' : 'log.even', bytes(`${n}`));
    const last: string[] = [];
    await client.replay('LOG', 'log.*', 4, (message) => last.push(text(message)));
    const odd: string[] = [];
    await client.replay('LOG', 'log.odd', 6, (message) => odd.push(text(message)));
    await until(() => last.length === 4 && odd.length === 3, { ...soon, what: 'the old is told' });
    assert.deepEqual(odd, ['5', '7', '9']);
    await nats.restart();
    const append = () => client.append('log.odd', bytes('11')).then(() => true);
    await until(append, { ...soon, what: 'appends work again' });
    await until(() => last.includes('11'), { ...soon, what: 'the new is told after a restart' });
    assert.deepEqual(last, ['7', '8', '9', '10', '11']);
  });
}

test('bus: a stream that vanished with its disk is made again and heard again', async (t: TestContext) => {
  const dir = await mkdtemp(join(tmpdir(), 'drey-nats-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const nats = await startNats({ dir });
  t.after(() => nats.stop());
  const client = await connectBus({ servers: [nats.url], name: 'test', clock: systemClock });
  t.after(() => client.close());
  await client.ensureStream(commands);
  const created: string[] = [];
  await client.consume('COMMANDS', 'admin', oneByOne, (message) => {
    created.push(message.streamCreated);
    message.ack();
  });
  await client.append('do.it', bytes('before'));
  await until(() => created.length === 1, { ...soon, what: 'the first is heard' });
  await nats.kill();
  await rm(join(dir, 'jetstream'), { recursive: true });
  await nats.restart();
  const append = () => client.append('do.it', bytes('after')).then(() => true);
  await until(append, { ...soon, what: 'the stream is there again' });
  await until(() => created.length === 2, { ...soon, what: 'the second is heard' });
  assert.notEqual(created[0], created[1]);
});
