import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { functionRoles, type Role } from '#proto/access.ts';
import { encodeJson } from '#proto/messages.ts';
import { recordPathsOf } from '#proto/records.ts';
import { subjectsOf } from '#proto/subjects.ts';
import type { Bus, BusMessage } from '#runtime/bus/bus.ts';
import { flags } from '#test/world/cluster.ts';
import { type Mesos, startMesos } from '#test/world/mesos.ts';
import type { NatsVersion } from '#test/world/nats.ts';
import { type Part, saysReady } from '#test/world/part.ts';
import { until } from '#test/world/until.ts';
import { inWorld, type World } from '#test/world/world.ts';
import { nodesBelow } from './nodes.ts';
import { type GuardedNats, startGuardedNats } from './users.ts';

const root = join(import.meta.dirname, '../..');
const cluster = 'guarded';
const subjects = subjectsOf(cluster);
const paths = recordPathsOf('/drey', cluster);
const zookeeperAuth = 'drey:only-for-drey';
const soon = (what: string) => ({ what, deadlineMs: 90_000 });

/** One process of drey under its own user. */
function startPart(
  world: World,
  nats: GuardedNats,
  role: Role,
  words: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<Part> {
  const kind = role === 'gateway' ? 'gateway' : 'functions';
  const settings = {
    'drey.cluster': cluster,
    'drey.nats.servers': nats.server.url,
    [`drey.nats.${kind}.nkey`]: nats.keyOf(role),
    'drey.zookeeper.quorum': world.zookeeper.servers,
    'drey.zookeeper.auth': zookeeperAuth,
    'drey.functions.http.bind-host': '127.0.0.1',
    ...more,
  };
  return world.start({
    name: role,
    file: process.execPath,
    args: [join(root, `${kind}/main.ts`), ...words, ...flags(settings)],
    cwd: world.dir,
    env: { ...process.env, FLINK_HOME: '', FLINK_CONF_DIR: '' },
    ready: saysReady,
  });
}

function startGateway(world: World, nats: GuardedNats, mesos: Mesos): Promise<Part> {
  return startPart(world, nats, 'gateway', [], {
    'mesos.master': mesos.address,
    'drey.state.dir': join(world.dir, 'state'),
    'drey.gateway.http.bind-host': '127.0.0.1',
    'drey.artifactserver.bind-host': '127.0.0.1',
    'jobmanager.rpc.address': '127.0.0.1',
  });
}

type Json = Readonly<Record<string, unknown>>;

async function ask(bus: Bus, subject: string, body: object): Promise<Json> {
  const answer = await bus.request(subject, encodeJson(body), { timeoutMs: 10_000 });
  return parsed(answer);
}

function parsed(message: BusMessage): Json {
  return JSON.parse(new TextDecoder().decode(message.data)) as Json;
}

/** What Flink's driver says, from the first worker to the last. */
async function driveOneWorker(driver: Bus): Promise<string> {
  const session = 'session-1';
  const heard: Json[] = [];
  for (const verb of ['launched', 'ended'] as const) {
    driver.subscribe(subjects.demand(verb), undefined, (message) =>
      heard.push({ verb, ...parsed(message) }),
    );
  }
  const say = (verb: 'recover' | 'request' | 'release' | 'confirm', body: object) =>
    until(
      async () => {
        const answer = await ask(driver, subjects.demand(verb), { session, ...body });
        return answer.status === 'ok' && answer;
      },
      { ...soon(`${verb} is answered`), everyMs: 200 },
    );
  await say('recover', { flinkVersion: '2.3.0' });
  const size = { cpus: 1, memMb: 512, slots: 1, jvm: '-Xmx1m', dynamic: [] };
  const { worker } = await say('request', { n: 1, ...size });
  const told = (verb: string) => heard.some((one) => one.verb === verb && one.worker === worker);
  await until(() => told('launched'), soon('the worker is launched'));
  return String(worker);
}

/** Its pages can be read and no more. */
async function changesNothing(part: Part): Promise<void> {
  const port = /"http":(\d+)/.exec(await part.log())?.[1];
  for (const page of ['health', 'ready', 'metrics']) {
    const url = `http://127.0.0.1:${port}/${page}`;
    assert.equal((await fetch(url)).status, 200, page);
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      assert.equal((await fetch(url, { method })).status, 404, `${method} ${page}`);
    }
  }
}

/** From the first worker to the teardown, every process under a user of its own. */
async function suite(version: NatsVersion): Promise<void> {
  await inWorld(async (world) => {
    const nats = await startGuardedNats(cluster, join(world.dir, 'guarded'), version);
    world.atEnd(() => nats.server.stop());
    const mesos = await startMesos(world, { simulated: 1 });
    const starts = functionRoles.map((role) => startPart(world, nats, role, [role]));
    const [gateway] = await Promise.all([startGateway(world, nats, mesos), ...starts]);
    const users = await Promise.all(
      (['driver', 'administrator', 'reader', 'appmaster'] as const).map((role) => nats.bus(role)),
    );
    world.atEnd(async () => void (await Promise.all(users.map((user) => user.close()))));
    const [driver, administrator, reader, appmaster] = users as [Bus, Bus, Bus, Bus];
    const decisions: string[] = [];
    reader.subscribe(subjects.everyDecision, undefined, ({ subject }) => decisions.push(subject));
    const worker = await driveOneWorker(driver);
    const states = async () => JSON.stringify(await ask(reader, subjects.ask('workers'), {}));
    await until(async () => /"running"/.test(await states()), soon('the worker runs'));
    const explained = async () =>
      /offers/.test(JSON.stringify(await ask(reader, subjects.ask('explain'), { worker })));
    await until(explained, soon('the placement is explained'));
    const nodes = await nodesBelow(world.zookeeper.servers, '/drey', zookeeperAuth);
    assert.ok(nodes.some(({ path }) => path === paths.worker(worker)));
    const open = nodes.filter(
      ({ acl }) => !acl.every((entry) => /^digest:drey:.*:31$/.test(entry)),
    );
    assert.deepEqual(open, [], 'every node belongs to the credential alone');
    await changesNothing(gateway);
    const stopped = await ask(administrator, subjects.do('stop'), { worker });
    assert.equal(stopped.ok, true);
    await until(async () => /"ended"/.test(await states()), soon('the worker has ended'));
    await appmaster.append(subjects.admin('teardown'), encodeJson({}));
    assert.equal(await gateway.ended, 0);
    assert.deepEqual(await mesos.frameworks(), []);
    const refusals = await nats.violations();
    assert.deepEqual(refusals, [], 'no role lacks a right');
    assert.ok(decisions.includes(subjects.decision('offers')));
  });
}

/** Quick runs show the newest server alone; what each refuses is shown for both. */
const versions =
  process.env.DREY_FULL === '1' ? (['current', 'oldest'] as const) : (['current'] as const);

for (const version of versions) {
  test(`access: the whole suite runs, every process under its own user (${version})`, () =>
    suite(version));
}
