import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { writeEffective } from '#deploy/appmaster/effective.ts';
import { jobManagerSettings } from '#deploy/appmaster/jobmanager-settings.ts';
import { type Plan, planOf } from '#deploy/appmaster/plan.ts';
import { choosePorts } from '#deploy/appmaster/ports.ts';
import { readConfiguration } from '#runtime/config/read.ts';
import { freePort } from '#test/world/ports.ts';

const scratch = mkdtempSync(join(tmpdir(), 'drey-effective-'));
after(() => rmSync(scratch, { recursive: true }));

/** Flink's own text, in short. */
const stock = `jobmanager:
  bind-host: localhost
  rpc:
    address: localhost
    port: 6123
taskmanager:
  host: localhost
  bind-host: localhost
  numberOfTaskSlots: 1
rest:
  address: localhost
pipeline.classpaths: ["file:///a;b", "file:///c"]
`;

function prepare(
  options: readonly string[],
  more = '',
  environment: Readonly<Record<string, string>> = {},
) {
  const confDir = mkdtempSync(join(scratch, 'conf-'));
  writeFileSync(join(confDir, 'config.yaml'), stock + more);
  const stateDir = mkdtempSync(join(scratch, 'state-'));
  mkdirSync(join(stateDir, 'conf'));
  const configuration = readConfiguration({
    confDir,
    arguments: ['-Dmesos.master=m:5050', `-Ddrey.state.dir=${stateDir}`, ...options],
    environment,
  });
  const plan: Plan = planOf(configuration, { environment: {}, flinkHome: '/flink', confDir });
  const write = (advertised: string, ports: ReadonlyMap<string, string> = new Map()) =>
    writeEffective(plan, configuration, {
      nats: 'nats://127.0.0.1:1',
      zookeeper: '127.0.0.1:2',
      advertised,
      ports,
    });
  return { plan, configuration, write };
}

test("appmaster: Flink's own localhost gives way to an address that other machines reach", () => {
  const { write } = prepare([]);
  const { settings } = write('10.1.2.3');
  assert.equal(settings.get('jobmanager.rpc.address'), '10.1.2.3');
  assert.equal(settings.get('rest.address'), '10.1.2.3');
  for (const key of ['jobmanager.bind-host', 'taskmanager.bind-host', 'taskmanager.host']) {
    assert.equal(settings.get(key), undefined, key);
  }
});

test('appmaster: localhost by an option, and on a machine alone, stays as it is', () => {
  const asked = prepare(['-Djobmanager.rpc.address=localhost']).write('10.1.2.3').settings;
  assert.equal(asked.get('jobmanager.rpc.address'), 'localhost');
  const alone = prepare([]).write('127.0.0.1').settings;
  assert.equal(alone.get('jobmanager.rpc.address'), 'localhost');
});

test('appmaster: what drey adds is left alone where it is set', () => {
  const key = 'resourcemanager.previous-worker.recovery.timeout';
  assert.equal(prepare([]).write('h').settings.get(key), '10 s');
  assert.equal(
    prepare([`-D${key}=5 s`])
      .write('h')
      .settings.get(key),
    '5 s',
  );
});

test('appmaster: the effective configuration reads back the same, by its user only', () => {
  const { write } = prepare(['-Dsome.password=a"b: #c\\', '-Dparallelism.default=10']);
  const { settings, confDir } = write('h');
  const read = readConfiguration({ confDir, arguments: [], environment: {} });
  for (const [key, value] of settings) {
    const setting = read.setting(key);
    assert.deepEqual(setting?.list ?? setting?.value, value, key);
  }
  assert.equal(statSync(join(confDir, 'config.yaml')).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(confDir).sort(), [
    'config.yaml',
    'log4j-console.properties',
    'log4j.properties',
  ]);
});

test('appmaster: port 0 becomes a free port that everybody is told', async () => {
  const { plan, configuration, write } = prepare(['-Drest.port=0', '-Djobmanager.rpc.port=0']);
  const ports = await choosePorts(plan, configuration, '127.0.0.1');
  const { settings, restUrl } = write('127.0.0.1', ports);
  assert.match(String(settings.get('rest.port')), /^2\d{4}$/);
  assert.match(String(settings.get('jobmanager.rpc.port')), /^2\d{4}$/);
  assert.equal(restUrl, `http://localhost:${settings.get('rest.port')}`);
});

test('appmaster: an IPv6 address stands in brackets in the address of the web UI', async () => {
  const { plan, configuration, write } = prepare(['-Drest.address=fd00::1', '-Drest.port=0']);
  const ports = await choosePorts(plan, configuration, '10.1.2.3');
  const { settings, restUrl } = write('10.1.2.3', ports);
  assert.equal(restUrl, `http://[fd00::1]:${settings.get('rest.port')}`);
});

test('appmaster: Flink listens on the first free port of rest.bind-port, others are told rest.port', async () => {
  const busy = await freePort();
  const server = createServer().listen(busy, '0.0.0.0');
  await once(server, 'listening');
  try {
    const { plan, configuration, write } = prepare([
      // Nobody looks whether this one is busy: Flink does not listen on it.
      `-Drest.port=${busy}`,
      `-Drest.bind-port=${busy},20000-29999`,
      '-Drest.address=192.0.2.1',
      '-Djobmanager.rpc.port=0',
    ]);
    const ports = await choosePorts(plan, configuration, '10.1.2.3');
    const { settings, restUrl, localRestUrl } = write('10.1.2.3', ports);
    assert.match(String(settings.get('rest.bind-port')), /^2\d{4}$/);
    assert.equal(restUrl, `http://192.0.2.1:${busy}`);
    assert.equal(localRestUrl, `http://127.0.0.1:${settings.get('rest.bind-port')}`);
  } finally {
    server.close();
  }
});

test('appmaster: a JobManager that listens on one address is asked there', async () => {
  const options = ['-Drest.bind-address=127.0.0.2', '-Drest.port=0', '-Djobmanager.rpc.port=0'];
  const { plan, configuration, write } = prepare(options);
  const ports = await choosePorts(plan, configuration, '10.1.2.3');
  assert.equal(write('10.1.2.3', ports).localRestUrl, `http://127.0.0.2:${ports.get('rest.port')}`);
});

test('appmaster: a fixed number of workers keeps Flink patient while they come', () => {
  const { settings } = prepare(['-Ddrey.demand=fixed']).write('h');
  assert.equal(settings.get('resourcemanager.standalone.start-up-time'), '21474835000');
});

test("appmaster: with Flink's high availability each cluster has a subtree of its own", () => {
  const key = 'high-availability.cluster-id';
  const ha = ['-Dhigh-availability.type=zookeeper', '-Ddrey.cluster=blue'];
  assert.equal(prepare(ha).write('h').settings.get(key), '/blue');
  for (const given of [key, 'high-availability.zookeeper.path.namespace']) {
    const { settings } = prepare([...ha, `-D${given}=/kept`]).write('h');
    assert.equal(settings.get(given), '/kept');
    assert.equal(settings.get(key), given === key ? '/kept' : undefined);
  }
  assert.equal(prepare(['-Ddrey.cluster=blue']).write('h').settings.has(key), false);
});

test("appmaster: Flink's high availability uses the cluster's ZooKeeper unless told another", () => {
  const key = 'high-availability.zookeeper.quorum';
  const ha = ['-Dhigh-availability.type=zookeeper'];
  const own = prepare(ha).write('h').settings;
  assert.equal(own.get(key), own.get('drey.zookeeper.quorum'));
  const given = prepare([...ha, `-D${key}=z:1`, '-Ddrey.cluster=blue']).write('h').settings;
  assert.equal(given.get(key), 'z:1');
  assert.equal(prepare([]).write('h').settings.has(key), false);
});

test('effective: the JobManager is told no secret of others, and none under a key that Flink shows', () => {
  const made = jobManagerSettings(
    new Map([
      ['drey.zookeeper.auth', 'drey:canary'],
      ['mesos.master', 'zk://u:canary@h:2181/mesos'],
      ['mesos.resourcemanager.framework.secret', 'canary'],
      ['mesos.resourcemanager.tasks.cpus', '2'],
      ['mesos.resourcemanager.tasks.uris', 'https://u:canary@h/x'],
      ['containerized.taskmanager.env.DB_PW', 'canary'],
      ['drey.nats.servers', 'nats://flink:p%40ss@h1:4222,nats://flink:p%40ss@h2:4222'],
      ['drey.nats.gateway.password', 'canary'],
      ['s3.secret-key', 'flink hides it'],
    ]),
  );
  assert.deepEqual(Object.fromEntries(made), {
    'mesos.resourcemanager.tasks.cpus': '2',
    'drey.nats.servers': 'nats://h1:4222,nats://h2:4222',
    'drey.nats.user': 'flink',
    'drey.nats.password': 'p@ss',
    's3.secret-key': 'flink hides it',
  });
  const own = new Map([
    ['drey.nats.token', 'of all'],
    ['drey.nats.driver.nkey', '/keys/driver.nkey'],
  ]);
  assert.deepEqual([...jobManagerSettings(own)], [['drey.nats.nkey', '/keys/driver.nkey']]);
});

test("appmaster: the JobManager is told what the environment alone says of the driver's way to NATS", () => {
  const { write } = prepare(['-Ddrey.nats.user=of-all', '-Ddrey.nats.tls.key=/given.pem'], '', {
    DREY_NATS_PASSWORD: 'of all',
    DREY_NATS_DRIVER_NKEY: '/keys/driver.nkey',
    DREY_NATS_TLS_CA: '/ca.pem',
    DREY_NATS_TLS_KEY: '/passed-over.pem',
    DREY_DRIVER_SURPLUS_HOLD: '30 s',
    DREY_NATS_GATEWAY_TOKEN: 'canary',
    DREY_ZOOKEEPER_AUTH: 'canary',
  });
  const { jobManagerConfDir } = write('h');
  const told = readConfiguration({ confDir: jobManagerConfDir, arguments: [], environment: {} });
  const drey = told.entries().filter(({ key }) => /^drey\.(nats|driver|zookeeper\.auth)/.test(key));
  assert.deepEqual(Object.fromEntries(drey.map(({ key, value }) => [key, value])), {
    'drey.driver.surplus-hold': '30 s',
    'drey.nats.nkey': '/keys/driver.nkey',
    'drey.nats.servers': 'nats://127.0.0.1:1',
    'drey.nats.tls.ca': '/ca.pem',
    'drey.nats.tls.key': '/given.pem',
  });
});

test('appmaster: NATS servers may be a list in YAML', () => {
  const { plan } = prepare(['-Ddrey.cluster=c'], 'drey.nats.servers: [nats://a:1, nats://b:2]\n');
  assert.deepEqual(plan.nats, { kind: 'configured', address: 'nats://a:1,nats://b:2' });
});
