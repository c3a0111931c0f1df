import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { connectBus } from '#runtime/bus/nats.ts';
import { type Clock, systemClock } from '#runtime/clock.ts';
import {
  BadMessageError,
  BusUnavailableError,
  ConfigurationError,
  NoResponderError,
  RequestTimeoutError,
} from '#runtime/errors.ts';
import { startNats } from '#test/world/nats.ts';
import { freePort } from '#test/world/ports.ts';
import { until } from '#test/world/until.ts';
import { bus, bytes, full, server, text, versions } from './world.ts';

for (const version of versions) {
  test(`bus: a message reaches one member of a queue group and every plain listener (${version})`, async (t) => {
    const nats = await server(t, version);
    const [one, two] = [await bus(nats), await bus(nats)];
    const grouped: string[] = [];
    const plain: string[] = [];
    for (const member of [one, two]) {
      member.subscribe('a.*', 'q', (message) => grouped.push(text(message)));
      member.subscribe('a.*', undefined, (message) =>
        plain.push(`${message.subject} ${message.headers['Drey-Epoch']}`),
      );
    }
    await until(() => one.request('a.ready', bytes(''), { timeoutMs: 100 }).catch(isTimeout), {
      deadlineMs: 5000,
      what: 'the subscriptions stand',
    });
    grouped.length = plain.length = 0;
    for (let n = 0; n < 20; n++) {
      assert.equal(one.publish('a.x', bytes(String(n)), { 'Drey-Epoch': '7' }), true);
    }
    await until(() => grouped.length === 20 && plain.length === 40, {
      deadlineMs: 5000,
      what: '20 messages came once in the group and twice outside',
    });
    assert.equal(new Set(grouped).size, 20);
    assert.deepEqual([...new Set(plain)], ['a.x 7']);
  });

  test(`bus: a request without a listener fails at once, without an answer at its deadline (${version})`, async (t) => {
    const nats = await server(t, version);
    const client = await bus(nats);
    const asked = () => client.request('nobody', bytes(''), { timeoutMs: 10_000 });
    const begin = performance.now();
    await assert.rejects(asked, NoResponderError);
    assert.ok(performance.now() - begin < 5000, 'it did not wait for its deadline');
    client.subscribe('silent', undefined, () => {});
    await assert.rejects(
      client.request('silent', bytes(''), { timeoutMs: 200 }),
      RequestTimeoutError,
    );
    client.subscribe('echo', 'q', (message) => {
      if (message.reply !== undefined) client.publish(message.reply, message.data, { a: 'b' });
    });
    const answers = await Promise.all(
      Array.from({ length: 1000 }, (_, n) =>
        client.request('echo', bytes(String(n)), { timeoutMs: 5000 }),
      ),
    );
    assert.deepEqual(
      answers.map(text),
      Array.from({ length: 1000 }, (_, n) => String(n)),
    );
    assert.equal(answers[0]?.headers.a, 'b');
  });

  test(`bus: after a restart of the server everything goes on (${version})`, async (t) => {
    const nats = await server(t, version);
    const [one, two] = [await bus(nats), await bus(nats)];
    const seen: boolean[] = [];
    one.onConnection((connected) => seen.push(connected));
    two.subscribe('held', undefined, () => {});
    two.subscribe('echo', 'q', (message) => two.publish(message.reply ?? '', message.data));
    await until(
      () =>
        one
          .request('echo', bytes(''), { timeoutMs: 500 })
          .then(text)
          .then(() => true),
      {
        deadlineMs: 5000,
        what: 'the answerer listens',
      },
    );
    const outstanding = one.request('held', bytes(''), { timeoutMs: 60_000 });
    const failed = assert.rejects(outstanding, RequestTimeoutError);
    await nats.kill();
    await failed;
    await until(() => !one.connected, { deadlineMs: 2000, what: 'the loss is seen' });
    assert.equal(one.publish('echo', bytes('')), false);
    await assert.rejects(
      one.request('echo', bytes(''), { timeoutMs: 1000 }),
      (error: Error) => error instanceof BusUnavailableError && error.message.includes('127.0.0.1'),
    );
    await nats.restart();
    const echo = () => one.request('echo', bytes('back'), { timeoutMs: 500 }).then(text);
    assert.equal(await until(echo, { deadlineMs: 15_000, what: 'requests work again' }), 'back');
    assert.deepEqual(seen, [false, true]);
  });
}

for (const version of full ? versions : versions.slice(0, 1)) {
  test(`bus: a frozen server is left within seconds, with little memory, and found again (${version})`, async (t) => {
    const nats = await server(t, version);
    const [one, two] = [await bus(nats), await bus(nats)];
    const got: string[] = [];
    two.subscribe('count', undefined, (message) => got.push(text(message)));
    await until(() => one.publish('count', bytes('x')) && got.length > 0, {
      deadlineMs: 5000,
      what: 'the listener hears',
    });
    nats.freeze();
    const begin = performance.now();
    const piece = new Uint8Array(512 * 1024);
    let taken = 0;
    for (let n = 0; n < 1000; n++) if (one.publish('bulk', piece)) taken += 1;
    assert.ok(taken <= 65, `${taken} half megabytes were taken by a server that reads nothing`);
    await until(() => !one.connected && !two.connected, {
      deadlineMs: 10_000,
      what: 'the frozen server is left',
    });
    t.diagnostic(`left after ${Math.round(performance.now() - begin)} ms`);
    await assert.rejects(one.request('count', bytes(''), { timeoutMs: 1000 }), BusUnavailableError);
    nats.thaw();
    await until(() => one.connected && two.connected, { deadlineMs: 15_000, what: 'it is back' });
    got.length = 0;
    for (let n = 0; n < 100; n++) one.publish('count', bytes(String(n)));
    await until(() => got.includes('99'), { deadlineMs: 5000, what: 'messages come again' });
    assert.deepEqual(
      got,
      Array.from({ length: 100 }, (_, n) => String(n)),
    );
  });
}

test('bus: what cannot travel is refused before it harms the connection', async (t) => {
  const nats = await server(t, 'current');
  const client = await bus(nats);
  assert.throws(() => client.publish('two words', bytes('')), BadMessageError);
  assert.throws(() => client.publish('big', new Uint8Array(1024 * 1024 + 1)), BadMessageError);
  assert.equal(client.publish('fine', bytes(''), { why: 'two\r\nlines' }), true);
  assert.equal(client.connected, true);
});

test('bus: a server that cannot be reached is named with the reason', async () => {
  const port = await freePort();
  const connect = (servers: string[]) =>
    connectBus({ servers, name: 'test', clock: systemClock, connectTimeoutMs: 300 });
  await assert.rejects(connect([`nats://127.0.0.1:${port}`]), (error: Error) => {
    assert.ok(error instanceof BusUnavailableError);
    assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}.*ECONNREFUSED`));
    return true;
  });
  await assert.rejects(connect(['http://somewhere']), ConfigurationError);
  const other = createServer((socket) => socket.end('SSH-2.0-something\r\n'));
  await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve));
  await assert.rejects(connect([`127.0.0.1:${port}`]), /not a NATS server/);
  await new Promise((resolve) => other.close(resolve));
});

test('bus: wrong credentials are told at once and never shown', async (t) => {
  const nats = await startNats({ configuration: 'authorization { user: u, password: right }' });
  t.after(() => nats.stop());
  const connect = (url: string) =>
    connectBus({ servers: [url], name: 'test', clock: systemClock, connectTimeoutMs: 20_000 });
  const begin = performance.now();
  await assert.rejects(connect(nats.url.replace('//', '//u:wrong@')), (error: Error) => {
    assert.match(error.message, /Authorization Violation/i);
    assert.doesNotMatch(error.message, /wrong/);
    return true;
  });
  assert.ok(performance.now() - begin < 5000);
  const right = await connect(nats.url.replace('//', '//u:right@'));
  assert.equal(right.connected, true);
  await right.close();
});

test('bus: a process may start before its server', async (t) => {
  const port = await freePort();
  const connecting = connectBus({
    servers: [`nats://127.0.0.1:${port}`],
    name: 'test',
    clock: systemClock,
    connectTimeoutMs: 20_000,
  });
  const nats = await startNats({ port });
  t.after(() => nats.stop());
  const early = await connecting;
  assert.equal(early.connected, true);
  await early.close();
});

test('bus: a server that lets in and drops is dialled with growing pauses', async (t) => {
  const greeting = {
    server_id: 'F',
    version: '2.10.0',
    proto: 1,
    headers: true,
    max_payload: 1024,
  };
  let logins = 0;
  const fake = createServer((socket) => {
    socket.on('error', () => {});
    socket.write(`INFO ${JSON.stringify(greeting)}\r\n`);
    socket.on('data', (data) => {
      if (!String(data).includes('PING')) return;
      logins += 1;
      socket.end('PONG\r\n');
    });
  });
  const port = await freePort();
  await new Promise<void>((resolve) => fake.listen(port, '127.0.0.1', resolve));
  t.after(() => fake.close());
  const pauses: number[] = [];
  const after: Clock['after'] = (delayMs, action) => {
    pauses.push(delayMs);
    return systemClock.after(delayMs, action);
  };
  const clock = { ...systemClock, after };
  const client = await connectBus({ servers: [`127.0.0.1:${port}`], name: 'test', clock });
  t.after(() => client.close());
  const long = () => pauses.some((pause) => pause > 1200 && pause < 3000);
  await until(long, { deadlineMs: 60_000, what: 'the pauses have grown' });
  assert.ok(logins < 50, `${logins} logins`);
});

function isTimeout(error: unknown): boolean {
  return error instanceof RequestTimeoutError;
}

test('bus: a defect in a handler ends the process loudly instead of leaving it deaf', async (t) => {
  const nats = await server(t, 'current');
  const program = `
    import { connectBus } from '#runtime/bus/nats.ts';
    import { systemClock } from '#runtime/clock.ts';
    const bus = await connectBus({ servers: ['${nats.url}'], name: 'broken', clock: systemClock });
    bus.subscribe('a', undefined, () => { throw new TypeError('a defect'); });
    setInterval(() => bus.publish('a', new Uint8Array()), 20);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: `${import.meta.dirname}/../..`,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const said: string[] = [];
  child.stderr.on('data', (data) => said.push(String(data)));
  assert.deepEqual(await once(child, 'close'), [1, null]);
  assert.match(said.join(''), /TypeError: a defect/);
});
