import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { frameworkRecord } from '#proto/records.ts';
import { replaceOf } from '#runtime/store/ops.ts';
import { readRecord } from '#runtime/store/records.ts';
import { watchDrey } from '#test/world/drey.ts';
import { startMesos } from '#test/world/mesos.ts';
import { type Part, saysReady } from '#test/world/part.ts';
import { freePort } from '#test/world/ports.ts';
import { until } from '#test/world/until.ts';
import { inWorld, type World } from '#test/world/world.ts';

const main = join(import.meta.dirname, '../../gateway/main.ts');

/** The options of a gateway of cluster `c` in this world. */
function options(world: World, master: string, more: readonly string[] = []): readonly string[] {
  return [
    `-Dmesos.master=${master}`,
    '-Ddrey.cluster=c',
    `-Ddrey.zookeeper.quorum=${world.zookeeper.servers}`,
    '-Ddrey.zookeeper.session-timeout=4 s',
    `-Ddrey.nats.servers=${world.nats.url}`,
    `-Ddrey.state.dir=${join(world.dir, 'state')}`,
    '-Djobmanager.rpc.address=127.0.0.1',
    ...more,
  ];
}

function gateway(world: World, name: string, args: readonly string[]): Promise<Part> {
  const env = { ...process.env, FLINK_HOME: '', FLINK_CONF_DIR: '' };
  return world.start({
    name,
    file: process.execPath,
    args: [main, ...args],
    env,
    ready: saysReady,
  });
}

/** Runs a gateway that cannot start; gives its exit code and what it said last. */
async function failing(
  world: World,
  name: string,
  args: readonly string[],
): Promise<{ readonly code: number | string; readonly says: string }> {
  const env = { ...process.env, FLINK_HOME: '', FLINK_CONF_DIR: '' };
  const part = await world.start({ name, file: process.execPath, args: [main, ...args], env });
  const code = await part.ended;
  return { code, says: (await part.log()).trim().split('\n').at(-1) ?? '' };
}

async function readyLine(part: Part): Promise<Readonly<Record<string, unknown>>> {
  const line = (await part.log()).split('\n').find((each) => each.startsWith('{"ready"'));
  return JSON.parse(line ?? '{}') as Readonly<Record<string, unknown>>;
}

const soon = (what: string) => ({ what, deadlineMs: 20_000 });

test('gateway: killed while it leads, its standby takes over with the same framework', async () => {
  await inWorld(async (world) => {
    const mesos = await startMesos(world, { simulated: 2 });
    const first = await gateway(world, 'gateway-1', options(world, mesos.address));
    const line = await readyLine(first);
    const get = async (path: string) => fetch(`http://127.0.0.1:${line.http}${path}`);
    assert.equal((await get('/health')).status, 200);
    assert.deepEqual(await (await get('/ready')).json(), { ready: true, why: 'ok' });
    assert.match(await (await get('/metrics')).text(), /drey_mesos_subscribed\{.*\} 1/);
    const drey = await watchDrey('c', world.zookeeper.servers, world.nats.url);
    world.atEnd(() => drey.close());
    const before = await drey.framework();
    assert.equal(before.gateway, line.name);
    assert.equal((await mesos.framework()).id, before.id);
    const second = await gateway(world, 'gateway-2', options(world, mesos.address));
    const standby = await readyLine(second);
    assert.equal((await drey.framework()).gateway, line.name);
    await first.kill('SIGKILL');
    const after = await until(async () => {
      const now = await drey.framework();
      return now.gateway === standby.name && (await mesos.framework()).active && now;
    }, soon('the standby subscribes'));
    assert.equal(after.id, before.id);
    assert.ok(after.epoch > before.epoch);
    const spec = (await drey.store.read(drey.paths.spec))?.data ?? '';
    const [, content] = /"drey:withheld:([0-9a-f]{64}\/conf\.tar)"/.exec(spec) ?? [];
    const token = readFileSync(join(world.dir, 'state/artifacts/token'), 'utf8').trim();
    assert.ok(!spec.includes(token), 'the token is not in the record');
    const url = `http://127.0.0.1:${standby.artifacts}/${token}/${content}`;
    assert.equal((await fetch(url)).status, 200);
    await second.kill('SIGTERM');
    assert.equal(await second.ended, 0);
    const left = await until(async () => {
      const one = await mesos.framework();
      return !one.active && one;
    }, soon('the master notices'));
    assert.equal(left.id, before.id);
  });
});

test('gateway: one that joins begins no new cluster where its own has ended', async () => {
  await inWorld(async (world) => {
    const mesos = await startMesos(world, { simulated: 1 });
    const drey = await watchDrey('c', world.zookeeper.servers, world.nats.url);
    world.atEnd(() => drey.close());
    const first = await gateway(world, 'gateway-1', options(world, mesos.address, ['--join']));
    const { id } = await drey.framework();
    await first.stop();
    const at = await readRecord(drey.store, drey.paths.framework, frameworkRecord);
    assert.ok(at);
    await drey.store.commit([replaceOf(at, { ...at.value, op: 'test', state: 'ended' })]);
    const again = options(world, mesos.address, ['--join']);
    const { code, says } = await failing(world, 'gateway-2', again);
    assert.equal(code, 0);
    assert.match(says, /the cluster has ended/);
    const record = await drey.framework();
    assert.deepEqual([record.id, record.state], [id, 'ended']);
    await gateway(world, 'gateway-3', options(world, mesos.address));
    assert.notEqual((await drey.framework()).id, id, 'a fresh start begins the next cluster');
  });
});

test('gateway: what is wrong at the start is one sentence with the key and the remedy', async () => {
  await inWorld(async (world) => {
    const nobody = `127.0.0.1:${await freePort()}`;
    const home = join(world.dir, 'flink-without-jars');
    mkdirSync(home);
    writeFileSync(join(world.dir, 'file'), '');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    world.atEnd(async () => void server.close());
    const address = server.address();
    const busy = typeof address === 'object' ? address?.port : 0;
    const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
      [
        'away',
        ['-Ddrey.mesos.wait=1 s'],
        /^mesos\.master: .*ECONNREFUSED.*Mesos master that runs$/,
      ],
      ['form', ['-Dmesos.master=zk://h'], /^mesos\.master: is no zk:\/\/ address; write/],
      ['value', ['-Ddrey.demand=many'], /^drey\.demand: "many" \(-D\): allowed is one of/],
      ['argument', ['--host', 'x'], /^--host: is no option/],
      [
        'port',
        [`-Dmesos.resourcemanager.artifactserver.port=${busy}`],
        /^mesos\.resourcemanager\.artifactserver\.port: cannot listen/,
      ],
      ['home', [`-Ddrey.flink.home=${home}`], /^drey\.flink\.home: there are no jars in/],
      ['state', [`-Ddrey.state.dir=${join(world.dir, 'file')}`], /^drey\.state\.dir: /],
      ['nats', ['-Ddrey.nats.servers='], /^drey\.nats\.servers: is not set/],
    ];
    for (const [name, more, sentence] of cases) {
      const bind = name === 'port' ? ['-Ddrey.artifactserver.bind-host=127.0.0.1'] : [];
      const args = options(world, nobody, [...bind, ...more]);
      const { code, says } = await failing(world, `gateway-${name}`, args);
      assert.match(says, sentence);
      assert.equal(code, 1, name);
    }
  });
});
