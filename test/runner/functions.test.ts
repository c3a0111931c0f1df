import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import { startNats } from '#test/world/nats.ts';
import { until } from '#test/world/until.ts';
import { startZooKeeper } from '#test/world/zookeeper.ts';

const root = `${import.meta.dirname}/../..`;

test('functions: the named ones run, are listed on the bus, tell their health, and stop with 0', async (t) => {
  const [nats, zookeeper] = await Promise.all([startNats(), startZooKeeper()]);
  t.after(() => Promise.all([nats.stop(), zookeeper.stop()]));
  const child = spawn(
    process.execPath,
    [
      'functions/main.ts',
      'offers',
      'updates',
      '-Ddrey.cluster=c',
      `-Ddrey.nats.servers=${nats.url}`,
      `-Ddrey.zookeeper.quorum=${zookeeper.servers}`,
      '-Ddrey.functions.http.bind-host=127.0.0.1',
      '-Ddrey.log.level=warn',
    ],
    { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  t.after(() => child.kill('SIGKILL'));
  const [line] = await once(child.stdout, 'data');
  const started = JSON.parse(String(line));
  assert.deepEqual(started.functions, ['offers', 'updates']);
  const get = (path: string) => fetch(`http://127.0.0.1:${started.http}${path}`);
  assert.equal((await get('/ready')).status, 200);
  const bus = await connectBus({ servers: [nats.url], name: 'test', clock: systemClock });
  t.after(() => bus.close());
  for (const name of ['offers', 'updates']) {
    const ask = { timeoutMs: 2000 };
    const told = await bus.request(`$SRV.INFO.drey-${name}`, new Uint8Array(), ask);
    const { metadata } = JSON.parse(new TextDecoder().decode(told.data));
    assert.deepEqual(metadata, { cluster: 'c', copy: started.copy });
  }
  await nats.kill();
  const unready = async () => (await get('/ready')).status === 503;
  await until(unready, { deadlineMs: 5000, what: 'it says that NATS is away' });
  await nats.restart();
  const ready = async () => (await get('/ready')).status === 200;
  await until(ready, { deadlineMs: 15_000, what: 'it is ready again' });
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});
