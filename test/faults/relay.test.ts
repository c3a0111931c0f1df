import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type Relay, startRelay } from '#test/world/relay.ts';
import { until } from '#test/world/until.ts';

/** A server that answers each byte with itself, behind a relay; what it heard, what the client heard. */
async function echo(t: TestContext): Promise<{
  readonly relay: Relay;
  readonly open: () => Promise<Socket>;
  /** Sends over another relay that nothing hinders, and resolves when the answer has come. */
  readonly beside: (text: string) => Promise<void>;
  readonly served: () => string;
  readonly heard: () => string;
}> {
  let served = '';
  let heard = '';
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      served += bytes;
      socket.write(bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const target = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const [relay, other] = await Promise.all([startRelay(target), startRelay(target)]);
  t.after(async () => {
    await Promise.all([relay.close(), other.close()]);
    server.close();
  });
  return {
    relay,
    served: () => served,
    heard: () => heard,
    open: async () => {
      const socket = connect(Number(relay.address.split(':')[1]), '127.0.0.1');
      socket.on('error', () => socket.destroy());
      socket.on('data', (bytes) => {
        heard += bytes;
      });
      await once(socket, 'connect');
      return socket;
    },
    beside: async (text) => {
      const socket = connect(Number(other.address.split(':')[1]), '127.0.0.1');
      socket.write(text);
      await once(socket, 'data');
      socket.destroy();
    },
  };
}

const soon = { deadlineMs: 30_000, what: 'the bytes are there' };

test('faults: a half-open connection keeps its bytes, and brings them later', async (t) => {
  const { relay, open, beside, served, heard } = await echo(t);
  const socket = await open();
  relay.hold();
  socket.write('held');
  const later = await open();
  assert.equal(later.destroyed, false, 'a new connection is taken');
  await beside('later');
  assert.equal(served(), 'later');
  relay.release();
  await until(() => heard() === 'held', soon);
});

test('faults: held answers mean that the server has heard', async (t) => {
  const { relay, open, beside, served, heard } = await echo(t);
  const socket = await open();
  relay.holdAnswers();
  socket.write('asked');
  await until(() => served() === 'asked', soon);
  await beside('later');
  assert.equal(heard(), '');
  relay.release();
  await until(() => heard() === 'asked', soon);
});

test('faults: a connection that has lost bytes breaks when all passes again', async (t) => {
  const { relay, open, served } = await echo(t);
  const socket = await open();
  socket.write('a');
  await until(() => served() === 'a', soon);
  relay.swallow();
  socket.write('lost');
  await until(() => relay.lost === 4, soon);
  const closed = once(socket, 'close');
  relay.release();
  await closed;
  assert.equal(served(), 'a');
});

test('faults: a slow connection keeps the order of its bytes, also when it is quick again', async (t) => {
  const { relay, open, heard } = await echo(t);
  const socket = await open();
  socket.setNoDelay(true);
  relay.delay(300);
  const began = performance.now();
  socket.write('1');
  await until(() => heard() === '1', soon);
  assert.ok(performance.now() - began >= 590, 'there and back');
  socket.write('2');
  relay.release();
  socket.write('3');
  await until(() => heard() === '123', soon);
});

test('faults: refused connections break, and new ones with them', async (t) => {
  const { relay, open, heard } = await echo(t);
  const socket = await open();
  const broken = once(socket, 'close');
  relay.refuse();
  await broken;
  const second = await open();
  await until(() => second.destroyed, soon);
  relay.release();
  const third = await open();
  third.write('again');
  await until(() => heard() === 'again', soon);
});
