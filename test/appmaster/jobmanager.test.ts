import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { writeEffective } from '#deploy/appmaster/effective.ts';
import { JobManager } from '#deploy/appmaster/jobmanager.ts';
import { jobManagerCommand } from '#deploy/appmaster/jobmanager-command.ts';
import { planOf } from '#deploy/appmaster/plan.ts';
import { choosePorts } from '#deploy/appmaster/ports.ts';
import { Stack } from '#deploy/appmaster/stack.ts';
import { readConfiguration } from '#runtime/config/read.ts';
import { until } from '#test/world/until.ts';

const scratch = mkdtempSync(join(tmpdir(), 'drey-jobmanager-'));
after(() => rmSync(scratch, { recursive: true }));

const flinkHome = join(scratch, 'flink');
mkdirSync(join(flinkHome, 'lib'), { recursive: true });
for (const name of ['flink-dist-2.3.0.jar', 'drey-flink-driver.jar']) {
  writeFileSync(join(flinkHome, 'lib', name), '');
}

/** A stand-in for Java: serves the REST port of the effective configuration; SIGTERM ends it slowly. */
const java = join(scratch, 'java');
writeFileSync(
  java,
  `#!${process.execPath}
const { readFileSync } = require('node:fs');
const folder = process.argv[process.argv.indexOf('--configDir') + 1];
const text = readFileSync(folder + '/config.yaml', 'utf8');
const port = /^rest.bind-port: "(\\d+)"/m.exec(text)?.[1] ?? /^rest.port: "(\\d+)"/m.exec(text)[1];
require('node:http').createServer((_, response) => response.end('{}')).listen(port, '127.0.0.1');
process.on('SIGTERM', () => setTimeout(() => process.exit(143), 500));
`,
);
chmodSync(java, 0o755);

async function prepare(options: readonly string[]) {
  const stateDir = mkdtempSync(join(scratch, 'state-'));
  for (const name of ['conf', 'given', 'log', 'tmp']) mkdirSync(join(stateDir, name));
  const confDir = join(stateDir, 'given');
  writeFileSync(join(confDir, 'config.yaml'), 'rest.bind-address: 127.0.0.1\n');
  const configuration = readConfiguration({
    confDir,
    arguments: [
      ...['-Dmesos.master=m:5050', `-Ddrey.state.dir=${stateDir}`, '-Djobmanager.rpc.port=0'],
      ...options,
    ],
    environment: {},
  });
  const plan = planOf(configuration, { environment: {}, flinkHome, confDir });
  const ports = await choosePorts(plan, configuration, '127.0.0.1');
  const addresses = {
    nats: 'nats://127.0.0.1:1',
    zookeeper: '127.0.0.1:2',
    advertised: '127.0.0.1',
    ports,
  };
  const effective = writeEffective(plan, configuration, addresses);
  const stack = new Stack();
  const said: string[] = [];
  const ends: string[] = [];
  const jobManager = new JobManager({
    ...{ stack, plan, configuration, effective },
    java: { path: java, version: 17 },
    say: (line) => void said.push(line),
    mayRestart: () => true,
    onEnd: ({ how }) => {
      ends.push(how);
      return 'again';
    },
  });
  const count = (words: RegExp): number => said.filter((line) => words.test(line)).length;
  const soon = (what: string, condition: () => boolean): Promise<unknown> =>
    until(condition, { what, deadlineMs: 30_000 });
  const command = () =>
    jobManagerCommand({ plan, configuration, effective, java: { path: java, version: 17 } });
  return { jobManager, command, stack, plan, said, ends, count, soon };
}

test('appmaster: a JobManager that others reach by another address and port is seen ready, and started again', async () => {
  const { jobManager, stack, said, ends, count, soon } = await prepare([
    '-Drest.address=192.0.2.1',
    '-Drest.port=443',
    '-Drest.bind-port=20000-29999',
  ]);
  try {
    jobManager.start();
    await soon(
      'it is ready',
      () => count(/^JobManager ready, web UI http:\/\/192\.0\.2\.1:443$/) === 1,
    );
    const pid = Number(/pid (\d+)/.exec(said[0] ?? '')?.[1]);
    process.kill(pid, 'SIGKILL');
    await soon('it is ready again', () => count(/^JobManager ready/) === 2);
    assert.deepEqual(ends, ['was ended by SIGKILL']);
  } finally {
    await stack.stop();
  }
});

test('appmaster: a JobManager whose start failed once is started by the next call', async () => {
  const { jobManager, stack, plan, count, soon } = await prepare([
    '-Drest.port=0',
    '-Drest.address=127.0.0.1',
  ]);
  try {
    rmSync(plan.logDir, { recursive: true });
    assert.throws(() => jobManager.start(), /ENOENT/);
    mkdirSync(plan.logDir);
    jobManager.start();
    await soon('it is ready', () => count(/^JobManager ready/) === 1);
  } finally {
    await stack.stop();
  }
});

test('appmaster: a JobManager that is still being stopped is not started beside itself', async () => {
  const { jobManager, stack, said, count, soon } = await prepare([
    '-Drest.port=0',
    '-Drest.address=127.0.0.1',
  ]);
  try {
    jobManager.start();
    await soon('it is ready', () => count(/^JobManager ready/) === 1);
    const stopped = jobManager.stop();
    jobManager.start();
    await stopped;
    jobManager.start();
    await soon('it is ready again', () => count(/^JobManager ready/) === 2);
    const order = said.map((line) => line.split(/[ ,]/)[1]);
    assert.deepEqual(order, ['started', 'ready', 'stopped', 'started', 'ready']);
  } finally {
    await stack.stop();
  }
});

test("appmaster: user code finds none of drey's settings in the JobManager's environment, and all else", async () => {
  const { command } = await prepare([
    '-Drest.port=0',
    '-Dcontainerized.master.env.DREY_JOB=of the job',
  ]);
  const given = {
    DREY_ZOOKEEPER_AUTH: 'drey:canary',
    DREY_NATS_GATEWAY_PASSWORD: 'canary',
    HADOOP_CONF_DIR: '/hadoop',
  };
  Object.assign(process.env, given);
  try {
    const { env } = command();
    const named = Object.keys(env).filter((name) => name.startsWith('DREY_'));
    assert.deepEqual(named, ['DREY_JOB']);
    assert.equal(env.HADOOP_CONF_DIR, '/hadoop');
    assert.equal(env.PATH, process.env.PATH);
  } finally {
    for (const name of Object.keys(given)) delete process.env[name];
  }
});
