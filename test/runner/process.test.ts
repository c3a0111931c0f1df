import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { ConfigurationError } from '#runtime/errors.ts';
import { serveHealth } from '#runtime/http.ts';
import { createRegistry, functionMetrics, gauge } from '#runtime/metrics.ts';

test('health: a process tells that it lives, whether it can work, and its figures', async (t) => {
  const registry = createRegistry({ cluster: 'c' });
  const metrics = functionMetrics(registry)('offers');
  metrics.handled(3, 20);
  metrics.setAside();
  gauge(registry, 'drey_waiting', 'Workers that wait', () => 7);
  let why = '';
  const options = { host: '127.0.0.1', portKey: 'drey.http.port', registry };
  const ready = () => ({ ready: why === '', why });
  const health = await serveHealth({ ...options, port: 0, ready });
  t.after(() => health.close());
  const get = (path: string) => fetch(`http://127.0.0.1:${health.port}${path}`);
  assert.equal((await get('/health')).status, 200);
  assert.equal((await get('/ready')).status, 200);
  why = 'NATS is away';
  const unready = await get('/ready');
  assert.equal(unready.status, 503);
  assert.deepEqual(await unready.json(), { ready: false, why });
  assert.equal((await get('/health')).status, 200);
  const text = await (await get('/metrics')).text();
  assert.match(text, /drey_events_handled_total\{function="offers",cluster="c"\} 3/);
  assert.match(text, /drey_events_set_aside_total\{function="offers",cluster="c"\} 1/);
  assert.match(text, /drey_waiting\{cluster="c"\} 7/);
  assert.match(text, /nodejs_eventloop_lag_seconds\{/);
  assert.doesNotMatch(text, /lag_p99/, 'what would wake an idle process is left out');
  await assert.rejects(
    serveHealth({ ...options, port: health.port, ready }),
    (error: Error) =>
      error instanceof ConfigurationError &&
      error.message.startsWith('drey.http.port') &&
      error.message.includes(String(health.port)),
  );
});

/** A process that stops as told; it says when it listens for signals, and what it hears. */
async function stopping(t: TestContext, stop: string, more = ''): Promise<ChildProcess> {
  const program = `
    import { onTermination } from '#runtime/shutdown.ts';
    onTermination(${stop}, (error) => process.stderr.write(String(error))${more});
    setInterval(() => {}, 1000);
    process.stdout.write('ready');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: `${import.meta.dirname}/../..`,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

test('shutdown: the first signal stops in order, with code 0', async (t) => {
  const child = await stopping(t, 'async () => process.stdout.write("stopped")');
  const said: string[] = [];
  child.stdout?.on('data', (data) => said.push(String(data)));
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'close'), [0, null]);
  assert.deepEqual(said, ['stopped']);
});

test('shutdown: a second signal ends at once', async (t) => {
  const child = await stopping(
    t,
    '() => { process.stdout.write("1"); return new Promise(() => {}); }',
  );
  child.kill('SIGTERM');
  if (child.stdout !== null) await once(child.stdout, 'data');
  child.kill('SIGINT');
  assert.deepEqual(await once(child, 'exit'), [1, null]);
});

test('shutdown: a stop that fails or never ends is told, with code 1', async (t) => {
  const failing = await stopping(t, 'async () => { throw new Error("no way") }');
  const hanging = await stopping(t, '() => new Promise(() => {})', ', 300');
  for (const [child, words] of [
    [failing, /no way/],
    [hanging, /300 ms/],
  ] as const) {
    const said: string[] = [];
    child.stderr?.on('data', (data) => said.push(String(data)));
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'close'), [1, null]);
    assert.match(said.join(''), words);
  }
});
