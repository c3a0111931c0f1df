import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { leftoversOf } from '#test/world/leftovers.ts';
import { freePort } from '#test/world/ports.ts';

const script = resolve(import.meta.dirname, '../../deploy/bin/mesos-appmaster.sh');
const scratch = mkdtempSync(join(tmpdir(), 'drey-appmaster-'));
after(() => rmSync(scratch, { recursive: true }));

/** A Flink of one empty jar: enough for what is checked before anything starts. */
const flinkHome = join(scratch, 'flink');
mkdirSync(join(flinkHome, 'lib'), { recursive: true });
mkdirSync(join(flinkHome, 'conf'));
for (const name of ['flink-dist-2.3.0.jar', 'drey-flink-driver.jar']) {
  writeFileSync(join(flinkHome, 'lib', name), '');
}

/** A Flink for which no driver was ever built. */
const oldFlink = join(scratch, 'old-flink');
mkdirSync(join(oldFlink, 'lib'), { recursive: true });
writeFileSync(join(oldFlink, 'lib', 'flink-dist-1.13.6.jar'), '');
writeFileSync(join(flinkHome, 'conf', 'config.yaml'), 'parallelism.default: 1\n');

interface BadInput {
  readonly title: string;
  readonly options?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** What the last line must say: the key, what is wrong, what to do. */
  readonly says: RegExp;
}

const table: readonly BadInput[] = [
  {
    title: 'no master',
    options: [],
    says: /mesos\.master: is not set; name the Mesos master: -Dmesos\.master=host:port/,
  },
  {
    title: 'an argument that is no option',
    options: ['--help'],
    says: /--help: is no option; only -Dkey=value is understood/,
  },
  {
    title: 'a shared ZooKeeper without a name',
    options: ['-Dmesos.master=m:5050', '-Ddrey.zookeeper.quorum=z:2181'],
    says: /drey\.cluster: is not set; with a ZooKeeper or NATS that others use too/,
  },
  {
    title: 'a name that cannot be one',
    options: ['-Dmesos.master=m:5050', '-Ddrey.cluster=a.b'],
    says: /drey\.cluster: "a\.b" \(-D\): .*letters, digits, - and _/,
  },
  {
    title: 'a demand that there is not',
    options: ['-Dmesos.master=m:5050', '-Ddrey.demand=much'],
    says: /drey\.demand: "much" \(-D\): allowed is one of driver, fixed/,
  },
  {
    title: 'a JobManager too small',
    options: ['-Dmesos.master=m:5050', '-Djobmanager.memory.process.size=300m'],
    says: /jobmanager\.memory\.process\.size: 300m leaves no heap .*raise it/,
  },
  {
    title: 'a JobManager as a task beside servers on loopback',
    options: ['-Dmesos.master=m:5050', '-Ddrey.jobmanager.placement=task'],
    says: /drey\.jobmanager\.placement: task needs servers that other machines reach; set drey\.nats/,
  },
  {
    title: 'a state directory that is relative',
    options: ['-Dmesos.master=m:5050', '-Ddrey.state.dir=here'],
    says: /drey\.state\.dir: "here" \(-D\): allowed is an absolute path/,
  },
  {
    title: 'a state directory that cannot be written',
    options: ['-Dmesos.master=m:5050', '-Ddrey.state.dir=/proc/drey'],
    says: /drey\.state\.dir: cannot write to \/proc\/drey: .*name another directory/,
  },
  {
    title: 'a log directory that cannot be written',
    options: ['-Dmesos.master=m:5050'],
    environment: { FLINK_LOG_DIR: '/proc/drey' },
    says: /FLINK_LOG_DIR: cannot write to \/proc\/drey: .*name another directory/,
  },
  {
    title: 'a Java home without Java',
    options: ['-Dmesos.master=m:5050', '-Denv.java.home=/nowhere'],
    says: /env\.java\.home: there is no program \/nowhere\/bin\/java; name the directory of a Java/,
  },
  {
    title: 'no Java at all',
    options: ['-Dmesos.master=m:5050'],
    environment: { PATH: toolsWithoutJava() },
    says: /env\.java\.home: no Java was found .*install Java 17 or set env\.java\.home/,
  },
  {
    title: 'a REST port that is no number',
    options: ['-Dmesos.master=m:5050', '-Drest.port=abc'],
    says: /rest\.port: "abc" \(-D\): allowed is a whole number from 0 to 65535/,
  },
  {
    title: 'a REST port that there is not',
    options: ['-Dmesos.master=m:5050', '-Drest.port=99999'],
    says: /rest\.port: "99999" \(-D\): allowed is a whole number from 0 to 65535/,
  },
  {
    title: 'an RPC port that there is not',
    options: ['-Dmesos.master=m:5050', '-Drest.port=0', '-Djobmanager.rpc.port=-1'],
    says: /jobmanager\.rpc\.port: "-1" \(-D\): allowed is a whole number from 0 to 65535/,
  },
  {
    title: 'a range of REST ports that is none',
    options: ['-Dmesos.master=m:5050', '-Drest.bind-port=8090-8081'],
    says: /rest\.bind-port: "8090-8081" \(-D\): allowed are ports and ranges such as 8081-8090/,
  },
  {
    title: 'a port of functions that leaves none for the second process',
    options: [
      ...['-Dmesos.master=m:5050', '-Ddrey.functions.processes=2'],
      '-Ddrey.functions.http.port=65535',
    ],
    says: /drey\.functions\.http\.port: "65535" \(-D\): drey\.functions\.processes is 2, .* at most 65534, or 0/,
  },
  {
    title: 'NATS servers of another kind',
    options: ['-Dmesos.master=m:5050', '-Ddrey.cluster=c', '-Ddrey.nats.servers=http://n:4222'],
    says: /drey\.nats\.servers: "http:\/\/n:4222": is not nats:\/\/host:port/,
  },
  {
    title: 'a NATS password that is not encoded',
    options: ['-Dmesos.master=m:5050', '-Ddrey.cluster=c', '-Ddrey.nats.servers=nats://u:p%zz@h'],
    says: /drey\.nats\.servers: "nats:\/\/h": user and password are to be percent-encoded/,
  },
  {
    title: 'ZooKeeper servers that are none',
    options: ['-Dmesos.master=m:5050', '-Ddrey.cluster=c', '-Ddrey.zookeeper.quorum=a:b:c'],
    says: /drey\.zookeeper\.quorum: "a:b:c" \(-D\): "a:b:c" is not a ZooKeeper server: expected host:port/,
  },
  {
    title: "own servers' data in the sandbox, which Mesos clears",
    options: ['-Dmesos.master=m:5050', `-Ddrey.state.dir=${join(scratch, 'sandbox', 'state')}`],
    environment: { MESOS_SANDBOX: join(scratch, 'sandbox') },
    says: /drey\.state\.dir: \S+ lies in the sandbox of this task, .*; name a directory that stays/,
  },
  {
    title: "a conf directory that is the appmaster's own",
    options: ['-Dmesos.master=m:5050', `-Ddrey.state.dir=${join(scratch, 'kept')}`],
    environment: { FLINK_CONF_DIR: keptConf() },
    says: /FLINK_CONF_DIR: \S+\/kept\/conf is emptied and written .*; name another/,
  },
  {
    title: "a conf directory that is the JobManager's",
    options: ['-Dmesos.master=m:5050', `-Ddrey.state.dir=${join(scratch, 'kept')}`],
    environment: { FLINK_CONF_DIR: keptConf('jobmanager-conf') },
    says: /FLINK_CONF_DIR: \S+\/kept\/jobmanager-conf is emptied and written .*; name another/,
  },
  {
    title: 'a nats-server that does not run',
    options: ['-Dmesos.master=m:5050', '-Drest.port=0', '-Djobmanager.rpc.port=0'],
    environment: { DREY_NATS_SERVER: '/nowhere' },
    says: /DREY_NATS_SERVER: \/nowhere does not run; name a nats-server or unset it/,
  },
  {
    title: 'a ZooKeeper without jars',
    options: ['-Dmesos.master=m:5050', '-Drest.port=0', '-Djobmanager.rpc.port=0'],
    environment: { DREY_ZOOKEEPER_HOME: '/nowhere' },
    says: /DREY_ZOOKEEPER_HOME: there are no jars in \/nowhere; name a ZooKeeper's lib or unset it/,
  },
  {
    title: 'a Flink without jars that a key names',
    options: ['-Dmesos.master=m:5050', '-Ddrey.flink.home=/nowhere'],
    says: /drey\.flink\.home: "\/nowhere" \(-D\): there is no lib\/ in it; name a Flink's directory/,
  },
  {
    title: 'a Flink without jars',
    options: ['-Dmesos.master=m:5050'],
    environment: { FLINK_HOME: scratch, FLINK_CONF_DIR: join(flinkHome, 'conf') },
    says: /FLINK_HOME: there are no jars in .*\/lib; name a Flink/,
  },
  {
    title: 'a Flink that is too old',
    options: ['-Dmesos.master=m:5050'],
    environment: { FLINK_HOME: oldFlink, FLINK_CONF_DIR: join(flinkHome, 'conf') },
    says: /FLINK_HOME: there is no drey-flink-driver\.jar .*for Flink 1\.13; run deploy\/install/,
  },
  {
    title: 'a conf directory without configuration',
    options: ['-Dmesos.master=m:5050'],
    environment: { FLINK_CONF_DIR: scratch },
    says: /FLINK_CONF_DIR: there is neither config\.yaml nor flink-conf\.yaml in .*name the directory/,
  },
];

for (const { title, options = [], environment = {}, says } of table) {
  test(`appmaster: ${title} is told in one sentence, and nothing is left running`, () => {
    const ended = start(options, environment);
    assert.match(ended.stderr, says, ended.stdout + ended.stderr);
    assert.equal(ended.stderr.trim().split('\n').length, 1);
    assert.equal(ended.status, 1);
    assert.deepEqual(leftoversOf(scratch), []);
  });
}

test("appmaster: an operator's configuration is left as it is where it is refused", () => {
  const conf = keptConf();
  start(['-Dmesos.master=m:5050', `-Ddrey.state.dir=${join(scratch, 'kept')}`], {
    FLINK_CONF_DIR: conf,
  });
  assert.equal(readFileSync(join(conf, 'config.yaml'), 'utf8'), 'parallelism.default: 1\n');
});

test('appmaster: a busy port is told with its key before anything starts', async () => {
  const port = await freePort();
  const server = createServer().listen(port, '0.0.0.0');
  await once(server, 'listening');
  try {
    const keys = ['rest.port', 'jobmanager.rpc.port', 'drey.appmaster.nats.port'];
    for (const key of keys) {
      const others = keys.filter((other) => other !== key && !other.startsWith('drey.'));
      const ended = start(
        ['-Dmesos.master=m:5050', `-D${key}=${port}`, ...others.map((other) => `-D${other}=0`)],
        {},
      );
      assert.match(ended.stderr, new RegExp(`${key}: port ${port} is in use; .*set ${key}`));
      assert.equal(ended.status, 1);
      assert.deepEqual(leftoversOf(scratch), []);
    }
  } finally {
    server.close();
  }
});

/** The launcher alone in a repository of its own; in place of the appmaster it tells which Flink it was given. */
function launch(flinks: readonly string[]) {
  const root = mkdtempSync(join(scratch, 'root-'));
  for (const folder of ['deploy/bin', 'deploy/appmaster', 'node_modules/.bin']) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  for (const name of flinks) mkdirSync(join(root, '.drey', name), { recursive: true });
  copyFileSync(script, join(root, 'deploy/bin/mesos-appmaster.sh'));
  symlinkSync(process.execPath, join(root, 'node_modules/.bin/node'));
  writeFileSync(
    join(root, 'deploy/appmaster/main.ts'),
    "process.stdout.write(process.env.FLINK_HOME ?? '');",
  );
  const { PATH = '' } = process.env;
  const launcher = join(root, 'deploy/bin/mesos-appmaster.sh');
  return spawnSync(launcher, { env: { PATH }, encoding: 'utf8', timeout: 30_000 });
}

test('appmaster: without FLINK_HOME and Flink the launcher says what to do', () => {
  for (const flinks of [[], ['run', 'flink-2.3.0.123456']]) {
    const ended = launch(flinks);
    assert.match(ended.stderr, /FLINK_HOME is not set; name Flink's directory, or run deploy/);
    assert.equal(ended.status, 1);
  }
});

test('appmaster: the launcher takes the newest Flink that was brought, none that is being installed', () => {
  const ended = launch(['flink-1.20.5', 'flink-2.3.0', 'flink-2.10.0', 'flink-2.10.0.123456']);
  assert.match(ended.stdout, /\/\.drey\/flink-2\.10\.0$/);
  assert.equal(ended.status, 0);
});

function start(
  options: readonly string[],
  environment: Readonly<Record<string, string>>,
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const { PATH = '', HOME = '' } = process.env;
  const env = {
    PATH,
    HOME,
    XDG_STATE_HOME: join(scratch, 'state'),
    FLINK_HOME: flinkHome,
    ...environment,
  };
  return spawnSync(script, options, { env, encoding: 'utf8', timeout: 30_000 });
}

/** An operator's configuration where the appmaster would write its own. */
function keptConf(name = 'conf'): string {
  const conf = join(scratch, 'kept', name);
  mkdirSync(conf, { recursive: true });
  const file = join(conf, 'config.yaml');
  if (!existsSync(file)) writeFileSync(file, 'parallelism.default: 1\n');
  return conf;
}

/** What the launcher needs, and nothing else. */
function toolsWithoutJava(): string {
  const bin = join(scratch, 'bin');
  mkdirSync(bin);
  for (const name of ['bash', 'dirname', 'readlink', 'find', 'sort', 'tail']) {
    symlinkSync(join('/usr/bin', name), join(bin, name));
  }
  return bin;
}
