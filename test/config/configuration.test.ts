import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { Configuration } from '#runtime/config/configuration.ts';
import { connectingNats, connectingZooKeeper, natsOf } from '#runtime/config/connections.ts';
import { parseConfigYaml, parseFlinkConf } from '#runtime/config/files.ts';
import { readConfiguration } from '#runtime/config/read.ts';
import {
  BusUnavailableError,
  ConfigurationError,
  StoreRefusedError,
  StoreUnavailableError,
} from '#runtime/errors.ts';

function inDirectory(files: Readonly<Record<string, string>>, run: (dir: string) => void): void {
  const dir = mkdtempSync(join(tmpdir(), 'drey-config-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
    run(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function of(values: Readonly<Record<string, string>>): Configuration {
  const settings = Object.entries(values).map(([key, value]) => ({ key, value, origin: '-D' }));
  return new Configuration(settings);
}

const says = (pattern: RegExp) => (error: unknown) =>
  error instanceof ConfigurationError && pattern.test(error.message);

test('config: flink-conf.yaml is read line by line, cut at #, split once at ": "', () => {
  const { settings, warnings } = parseFlinkConf(
    'a.b: 1\n# all comment\n  c: d: e  # tail\nurl: http://x#y\nnospace:1\nempty: \n\na.b: 2\r\n',
    'flink-conf.yaml',
  );
  const values = settings.map(({ key, value, origin }) => [key, value, origin]);
  assert.deepEqual(values, [
    ['a.b', '1', 'flink-conf.yaml:1'],
    ['c', 'd: e', 'flink-conf.yaml:3'],
    ['url', 'http://x', 'flink-conf.yaml:4'],
    ['a.b', '2', 'flink-conf.yaml:8'],
  ]);
  assert.equal(warnings.length, 2);
  assert.match(warnings[0] ?? '', /flink-conf\.yaml:5/);
});

test('config: any text is either a setting or a warning in flink-conf.yaml, never a crash', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const { settings, warnings } = parseFlinkConf(text, 'f');
      const lines = text.split(/\r?\n|\r/).filter((line) => line.split('#', 1)[0]?.trim() !== '');
      return settings.length + warnings.length === lines.length;
    }),
  );
});

test('config: config.yaml may be nested or flat, and numbers stay as they were written', () => {
  const { settings } = parseConfigYaml(
    'jobmanager:\n  rpc:\n    address: host\n    port: 6123\nmesos.master: "h:5050"\ncpu: 1.0\nlist: [a, "b;c"]\nyes: TRUE\n',
    'config.yaml',
  );
  const config = new Configuration(settings);
  assert.equal(config.string('jobmanager.rpc.address'), 'host');
  assert.equal(config.setting('jobmanager.rpc.port')?.origin, 'config.yaml:4');
  assert.equal(config.string('cpu'), '1.0');
  assert.equal(config.boolean('yes'), true);
  assert.deepEqual(config.list('list'), ['a', 'b;c']);
  assert.equal(config.string('list'), 'a;"b;c"');
});

test('config: broken YAML and a key without a value are errors that name the line', () => {
  assert.throws(() => parseConfigYaml('a: b\nc: [1\n', 'config.yaml'), says(/config\.yaml:\d/));
  assert.throws(() => parseConfigYaml('a: b\nmemory:\n', 'config.yaml'), says(/^memory: has no/));
});

test('config: options win over files, the later wins, and the environment is the last resort', () => {
  inDirectory({ 'flink-conf.yaml': 'mesos.master: a:1\nrest.port: 1\n' }, (confDir) => {
    const config = readConfiguration({
      confDir,
      arguments: ['-Dmesos.master=b:2', '-D', 'mesos.master=c:3', '-Ddrey.cluster=one', '-Dflag'],
      environment: { DREY_CLUSTER: 'two', DREY_NATS_SERVERS: 'h:4222', MESOS_MASTER: 'z' },
    });
    assert.equal(config.string('mesos.master'), 'c:3');
    assert.equal(config.int('rest.port'), 1);
    assert.equal(config.string('drey.cluster'), 'one');
    assert.equal(config.boolean('flag'), true);
    assert.equal(config.setting('drey.nats.servers')?.origin, 'environment DREY_NATS_SERVERS');
  });
});

test('config: config.yaml is read where both files are, with a warning', () => {
  inDirectory({ 'flink-conf.yaml': 'a: old\n', 'config.yaml': 'a: new\n' }, (confDir) => {
    const config = readConfiguration({ confDir, arguments: [], environment: {} });
    assert.equal(config.string('a'), 'new');
    assert.equal(config.warnings.length, 1);
  });
  inDirectory({}, (confDir) => {
    assert.throws(
      () => readConfiguration({ confDir, arguments: [], environment: {} }),
      says(/FLINK_CONF_DIR: there is neither/),
    );
  });
});

test('config: durations and memory sizes are read in Flink syntax', () => {
  const durations = {
    '500': 500,
    '30 s': 30_000,
    '5min': 300_000,
    '1 d': 86_400_000,
    '2 H': 7.2e6,
  };
  for (const [text, ms] of Object.entries(durations)) {
    assert.equal(of({ k: text }).durationMs('k'), ms, text);
  }
  const sizes = { '1728m': 1728 * 2 ** 20, '2 gb': 2 ** 31, '1024': 1024, '1KiBiBytes': 1024 };
  for (const [text, bytes] of Object.entries(sizes)) {
    assert.equal(of({ k: text }).memoryBytes('k'), bytes, text);
  }
});

test('config: a wrong value is told with its key, text, origin and what is allowed', () => {
  const config = of({ 'rest.port': '70000', d: 'soon', m: '1x', b: 'yes', o: 'c', l: 'a:1,b' });
  assert.throws(() => config.port('rest.port'), says(/rest\.port: "70000" \(-D\).*0 to 65535/));
  assert.throws(() => config.durationMs('d'), says(/"soon".*30 s/));
  assert.throws(() => config.memoryBytes('m'), says(/"1x".*1728m/));
  assert.throws(() => config.boolean('b'), says(/true or false/));
  assert.throws(() => config.oneOf('o', ['a', 'b']), says(/one of a, b/));
  assert.throws(() => config.map('l'), says(/entry 2 \("b"\)/));
  assert.throws(() => config.required('none', 'set it'), says(/none: is not set; set it/));
  const secret = of({ 'x.secret': 'pst' });
  assert.throws(
    () => secret.int('x.secret'),
    (error) => !String(error).includes('pst'),
  );
});

test('config: maps are text or keys below, lists keep quoted separators', () => {
  assert.deepEqual(
    [...(of({ l: 'a:1,b:x:y' }).map('l') ?? [])],
    [
      ['a', '1'],
      ['b', 'x:y'],
    ],
  );
  assert.deepEqual([...(of({ 'l.a': '1' }).map('l') ?? [])], [['a', '1']]);
  assert.deepEqual(of({ l: 'a; "b;c" ;d' }).list('l'), ['a', 'b;c', 'd']);
  assert.deepEqual(of({ l: 'a, b' }).list('l', ','), ['a', 'b']);
});

test('config: what is no -D option is refused', () => {
  assert.throws(
    () => readConfiguration({ arguments: ['--host', 'x'], environment: {} }),
    says(/--host: is no option/),
  );
});

test('config: a connection that fails is told with the key by which it is mended', async () => {
  const away = new StoreUnavailableError('no ZooKeeper answered at z:2181 within 30000 ms');
  await assert.rejects(
    connectingZooKeeper(Promise.reject(away)),
    says(/^drey\.zookeeper\.quorum: no ZooKeeper answered at z:2181 .*; start it or name servers/),
  );
  const refused = new StoreRefusedError('ZooKeeper refused the digest credential');
  await assert.rejects(
    connectingZooKeeper(Promise.reject(refused)),
    says(
      /^drey\.zookeeper\.auth: ZooKeeper refused the digest credential; set it to user:password/,
    ),
  );
  const shut = new BusUnavailableError('no NATS server at n:4222 lets us in');
  await assert.rejects(
    connectingNats(Promise.reject(shut)),
    says(/^drey\.nats\.servers: no NATS server at n:4222 lets us in; start it, or name/),
  );
  const defect = new TypeError('a defect');
  await assert.rejects(connectingNats(Promise.reject(defect)), defect);
});

test('config: no password of an address is told with it', () => {
  for (const address of ['http://u:geheim@n:4222', 'nats://u:geheim%zz@n', 'u:geheim/@n:x']) {
    const config = of({ 'drey.nats.servers': address });
    assert.throws(
      () => natsOf(config, 'functions'),
      (error: Error) => says(/^drey\.nats\.servers: /)(error) && !error.message.includes('geheim'),
    );
  }
});
