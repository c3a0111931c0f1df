import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { inboxOf, type Role } from '#proto/access.ts';
import { encodeJson } from '#proto/messages.ts';
import { subjectsOf } from '#proto/subjects.ts';
import type { Bus } from '#runtime/bus/bus.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import type { FlinkVersion } from '#test/driver/flink.ts';
import { leftoversOf } from '#test/world/leftovers.ts';
import { startMesos } from '#test/world/mesos.ts';
import type { Part } from '#test/world/part.ts';
import { freePort } from '#test/world/ports.ts';
import { until } from '#test/world/until.ts';
import { inWorld, type World } from '#test/world/world.ts';
import { makeCertificates } from './certificates.ts';
import { nodesBelow } from './nodes.ts';
import { type GuardedNats, startGuardedNats } from './users.ts';

const root = resolve(import.meta.dirname, '../..');
const cluster = 'guarded';
const subjects = subjectsOf(cluster);
const zookeeperAuth = 'drey:canary-zookeeper';

/** One secret under every kind of key: drey's own, Mesos', and each word of Flink's rule (2.3 and 1.20). */
const planted: Readonly<Record<string, string>> = {
  'drey.zookeeper.auth': zookeeperAuth,
  'drey.nats.password': 'canary-nats-password',
  'drey.nats.token': 'canary-nats-token',
  'mesos.resourcemanager.framework.principal': 'drey',
  'mesos.resourcemanager.framework.secret': 'canary-mesos',
  'mesos.resourcemanager.tasks.uris': 'https://user:canary-uri@files.invalid/x.jar',
  'containerized.taskmanager.env.DB_PW': 'canary-environment',
  'security.ssl.rest.keystore-password': 'canary-keystore',
  'security.ssl.internal.truststore-password': 'canary-truststore',
  's3.secret-key': 'canary-secret',
  'fs.azure.account.key.store': 'canary-azure',
  'metrics.reporter.x.apikey': 'canary-apikey',
  'my.auth-params': 'canary-auth-params',
  'my.service-key': 'canary-service-key',
  'security.delegation.token': 'canary-delegation',
  'my.basic-auth': 'canary-basic',
  'security.my.jaas.config': 'canary-jaas',
  'my.http-headers': 'canary-headers',
};

const settings = {
  'drey.cluster': cluster,
  'drey.gateway.http.bind-host': '127.0.0.1',
  'drey.functions.http.bind-host': '127.0.0.1',
  'drey.log.level': 'debug',
  'jobmanager.rpc.address': '127.0.0.1',
  'jobmanager.rpc.port': '0',
  'jobmanager.bind-host': '127.0.0.1',
  'rest.address': '127.0.0.1',
  'rest.bind-address': '127.0.0.1',
  'jobmanager.memory.heap.size': '160m',
  'jobmanager.memory.jvm-overhead.min': '64m',
  'taskmanager.memory.process.size': '1g',
  'slotmanager.number-of-slots.min': '1',
  'env.java.opts.all': '-XX:+UseSerialGC -XX:TieredStopAtLevel=1',
};

interface Appmaster {
  readonly part: Part;
  readonly state: string;
  readonly rest: string;
}

async function startAppmaster(
  world: World,
  nats: GuardedNats,
  version: FlinkVersion,
  more: Readonly<Record<string, string>>,
): Promise<Appmaster> {
  const conf = join(world.dir, 'given');
  const state = join(world.dir, 'state');
  await mkdir(conf);
  const port = String(await freePort());
  const users = (['gateway', 'functions', 'driver', 'appmaster'] as const).map((role) => [
    `drey.nats.${role}.nkey`,
    nats.keyOf(role),
  ]);
  const all = {
    ...{ ...settings, ...planted, ...Object.fromEntries(users), ...more },
    'drey.zookeeper.quorum': world.zookeeper.servers,
    'drey.nats.servers': nats.server.url,
    'drey.state.dir': state,
    'rest.port': port,
  };
  const lines = Object.entries(all).map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`);
  await writeFile(join(conf, 'config.yaml'), lines.join(''));
  for (const log of ['gateway.log', 'functions.log']) world.showOnFailure(join(state, 'log', log));
  const part = await world.start({
    name: 'appmaster',
    file: join(root, 'deploy/bin/mesos-appmaster.sh'),
    args: [],
    env: {
      ...process.env,
      FLINK_HOME: join(root, '.drey', `flink-${version}`),
      FLINK_CONF_DIR: conf,
    },
    ready: (log) => /JobManager ready/.test(log),
    readyMs: 120_000,
  });
  return { part, state, rest: `http://127.0.0.1:${port}` };
}

/** Every file below a folder in use: one that is removed meanwhile holds nothing any more. */
async function textsBelow(folder: string): Promise<ReadonlyMap<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name));
  const texts = paths.map(async (path) => {
    try {
      return [[path, await readFile(path, 'latin1')] as const];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return [];
    }
  });
  return new Map((await Promise.all(texts)).flat());
}

async function pages(urls: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const asked = urls.map(async (url) => {
    const answer = await fetch(url);
    return [url, await answer.text()] as const;
  });
  return new Map(await Promise.all(asked));
}

/** Health and metrics ports as gateway and functions have told them. */
async function ownPages(state: string): Promise<readonly string[]> {
  const logs = await Promise.all(
    ['gateway.log', 'functions.log'].map((name) => readFile(join(state, 'log', name), 'utf8')),
  );
  const ports = logs.map((log) => /"http":(\d+)/.exec(log)?.[1]);
  return ports.flatMap((port) =>
    ['health', 'ready', 'metrics'].map((page) => `http://127.0.0.1:${port}/${page}`),
  );
}

/** Plants, runs a cluster with one worker, looks everywhere. */
async function lookEverywhere(version: FlinkVersion): Promise<void> {
  await inWorld(async (world) => {
    const { ca, server, client } = makeCertificates(join(world.dir, 'certificates'));
    const tls = {
      'drey.nats.tls.ca': ca,
      'drey.nats.tls.certificate': client.certificate,
      'drey.nats.tls.key': client.key,
    };
    // The server writes down every message that passes, bodies included.
    const guard = `trace: true\ntls { cert_file: "${server.certificate}", key_file: "${server.key}", ca_file: "${ca}", verify: true }`;
    const nats = await startGuardedNats(cluster, join(world.dir, 'guarded'), 'current', guard);
    world.atEnd(() => nats.server.stop());
    const mesos = await startMesos(world, { simulated: 1 });
    const appmaster = await startAppmaster(world, nats, version, {
      ...tls,
      'mesos.master': mesos.address,
    });
    await until(
      async () => (await mesos.framework()).tasks.some(({ state }) => state === 'TASK_RUNNING'),
      { deadlineMs: 120_000, what: 'the worker runs that Flink asked for' },
    );
    const user = (role: Role): Promise<Bus> =>
      connectBus({
        servers: [nats.server.url],
        name: role,
        credentials: {
          nkeyFile: nats.keyOf(role),
          tls: { caFile: ca, certFile: client.certificate, keyFile: client.key },
        },
        inbox: inboxOf(cluster, role),
        clock: systemClock,
      });
    const reader = await user('reader');
    world.atEnd(() => reader.close());
    const ask = async (question: string): Promise<string> => {
      const answer = await reader.request(subjects.ask(question), encodeJson({}), {
        timeoutMs: 10_000,
      });
      return new TextDecoder().decode(answer.data);
    };
    const flink = ['jobmanager/config', 'config', 'overview', 'jobmanager/environment'];
    const { state, rest } = appmaster;
    const commands = leftoversOf(world.dir).map(({ command }) => command);
    const nodes = await nodesBelow(world.zookeeper.servers, '/', zookeeperAuth);
    const places: readonly (readonly [string, string])[] = [
      ...(await textsBelow(join(state, 'log'))),
      ['appmaster', await appmaster.part.log()],
      ...nodes.map(({ path, data }) => [path, data] as const),
      ...(await textsBelow(join(world.dir, 'guarded', 'jetstream'))),
      ['messages', await nats.server.log()],
      ...(await pages([...(await ownPages(state)), ...flink.map((page) => `${rest}/${page}`)])),
      ...(await pages(
        ['tasks', 'state', 'frameworks'].map((page) => `http://${mesos.address}/${page}`),
      )),
      ['ask.config', await ask('config')],
      ['ask.status', await ask('status')],
      ['ask.explain', await ask('explain')],
      ['command lines', commands.join('\n')],
    ];
    const token = (await readFile(join(state, 'artifacts/token'), 'utf8')).trim();
    const seeds = ['gateway', 'functions', 'driver', 'appmaster'] as const;
    const keys = await Promise.all(seeds.map((role) => readFile(nats.keyOf(role), 'utf8')));
    const secrets = [
      /canary-[a-z-]+/,
      new RegExp(token),
      ...keys.map((key) => new RegExp(key.trim())),
    ];
    const seen = places.flatMap(([place, text]) =>
      secrets.flatMap((secret) => {
        const at = secret.exec(text)?.index ?? -1;
        return at < 0 ? [] : [`${place}: ${text.slice(Math.max(0, at - 80), at + 40)}`];
      }),
    );
    assert.deepEqual(seen, []);
    assert.match(await nats.server.log(), /call\.\d+\.accept[\s\S]*drey:withheld:\w+:DB_PW/);
    assert.deepEqual(await nats.violations(), []);
    const { ended } = appmaster.part;
    assert.equal((await fetch(`${rest}/cluster`, { method: 'DELETE' })).ok, true);
    assert.equal(await ended, 0);
  });
}

/** Quick runs show the newest Flink alone. */
const versions: readonly FlinkVersion[] =
  process.env.DREY_FULL === '1' ? ['2.3.0', '1.20.5'] : ['2.3.0'];

for (const version of versions) {
  test(`access: no secret is seen in logs, records, streams, messages, pages, commands or errors (Flink ${version})`, () =>
    lookEverywhere(version));
}
