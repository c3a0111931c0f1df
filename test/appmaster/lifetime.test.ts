import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { endLeftovers, leftoversOf } from '#test/world/leftovers.ts';
import { type Part, saysReady, startPart } from '#test/world/part.ts';
import { freePort, freePortsInARow } from '#test/world/ports.ts';
import { until } from '#test/world/until.ts';

const root = resolve(import.meta.dirname, '../..');
const scratch = mkdtempSync(join(tmpdir(), 'drey-lifetime-'));
after(() => {
  endLeftovers(scratch);
  rmSync(scratch, { recursive: true });
});

let started = 0;

/** An appmaster with servers of its own. */
async function startAppmaster(
  master: string,
  parts: readonly string[],
  options: readonly string[] = [],
): Promise<Part> {
  started += 1;
  const dir = join(scratch, String(started));
  mkdirSync(join(dir, 'conf'), { recursive: true });
  writeFileSync(join(dir, 'conf', 'config.yaml'), configuration(join(dir, 'state')));
  return startPart({
    name: `appmaster-${started}`,
    file: join(root, 'deploy/bin/mesos-appmaster.sh'),
    args: [`-Dmesos.master=${master}`, ...options],
    dir: scratch,
    env: {
      ...process.env,
      FLINK_HOME: join(root, '.drey/flink-2.3.0'),
      FLINK_CONF_DIR: join(dir, 'conf'),
    },
    ready: (log) => parts.length > 0 && parts.every((name) => says(log, `${name} ready`)),
    readyMs: 90_000,
  });
}

/** A local Mesos without agents. */
async function startMaster(): Promise<{ readonly part: Part; readonly address: string }> {
  const port = await freePort();
  const main = join(root, 'deploy/local/mesos/main.ts');
  const part = await startPart({
    name: `master-${port}`,
    file: process.execPath,
    args: [main, 'master', '--ip', '127.0.0.1', '--port', String(port)],
    dir: scratch,
    ready: saysReady,
  });
  return { part, address: `127.0.0.1:${port}` };
}

function configuration(stateDir: string): string {
  return [
    `drey.state.dir: ${stateDir}`,
    'jobmanager.rpc.address: 127.0.0.1',
    'jobmanager.rpc.port: "0"',
    'rest.address: 127.0.0.1',
    'rest.bind-address: 127.0.0.1',
    'rest.port: "0"',
    'taskmanager.memory.process.size: 1g',
    'jobmanager.memory.heap.size: 160m',
    'env.java.opts.all: -XX:+UseSerialGC -XX:TieredStopAtLevel=1',
    '',
  ].join('\n');
}

function says(log: string, text: string): boolean {
  return log.includes(`mesos-appmaster: ${text}`);
}

function pidsOf(log: string): ReadonlyMap<string, number> {
  const found = log.matchAll(/: (\S+) started, pid (\d+)/g);
  return new Map([...found].map(([, name = '', pid]) => [name, Number(pid)]));
}

/** A master that never answers ends nothing while the test runs. */
const patient = '-Ddrey.mesos.wait=10 min';
const everything = ['ZooKeeper', 'nats-server', 'JobManager', 'gateway', 'functions'];

test('appmaster: SIGTERM stops the JobManager first, then what it needs, and leaves nothing', async () => {
  const master = await startMaster();
  const appmaster = await startAppmaster(master.address, ['gateway', 'functions', 'JobManager']);
  const ended = appmaster.ended;
  await appmaster.kill('SIGTERM');
  assert.equal(await ended, 143);
  const order = [...(await appmaster.log()).matchAll(/: (\S+) stopped/g)].map(([, name]) => name);
  assert.deepEqual(order.slice(0, 3), ['JobManager', 'functions', 'gateway']);
  assert.deepEqual(order.slice(3).sort(), ['ZooKeeper', 'nats-server']);
  assert.deepEqual(leftoversOf(join(scratch, String(started))), []);
  await master.part.stop();
});

test('appmaster: what crashes is started again; a killed appmaster leaves nothing running', async () => {
  const master = await startMaster();
  const appmaster = await startAppmaster(master.address, ['gateway', 'functions', 'JobManager']);
  const before = pidsOf(await appmaster.log());
  assert.deepEqual([...before.keys()].sort(), [...everything].sort());
  for (const name of everything) {
    const pid = before.get(name) ?? 0;
    process.kill(pid, 'SIGKILL');
    await until(async () => pidsOf(await appmaster.log()).get(name) !== pid, {
      deadlineMs: 60_000,
      what: `${name} is started again`,
    });
  }
  const log = await appmaster.log();
  for (const name of everything) {
    assert.match(log, new RegExp(`${name} was ended by SIGKILL, starting it again in 1 s`));
  }
  const gateway = readFileSync(`/proc/${pidsOf(log).get('gateway')}/cmdline`, 'utf8').split('\0');
  assert.ok(gateway.includes('--join'), 'a gateway that is started again begins no new cluster');
  await appmaster.kill('SIGKILL');
  await until(() => leftoversOf(join(scratch, String(started))).length === 0, {
    deadlineMs: 60_000,
    what: 'nothing of the appmaster runs',
  });
  await master.part.stop();
});

test('appmaster: a master that does not answer is told of, waited for, and named in the end', async () => {
  const nowhere = `127.0.0.1:${await freePort()}`;
  const appmaster = await startAppmaster(nowhere, ['functions'], ['-Ddrey.mesos.wait=30 s']);
  const ended = appmaster.ended;
  assert.equal(await ended, 1);
  const log = await appmaster.log();
  assert.match(
    log,
    /no Mesos master has answered at 127\.0\.0\.1:\d+ yet \(mesos\.master\), trying on until drey\.mesos\.wait is over/,
  );
  assert.match(log, /gateway cannot start: mesos\.master: /);
  assert.deepEqual(leftoversOf(join(scratch, String(started))), []);
});

test('appmaster: several processes of functions take the ports from the configured one on', async () => {
  const nowhere = `127.0.0.1:${await freePort()}`;
  const port = await freePortsInARow(2);
  const appmaster = await startAppmaster(
    nowhere,
    ['functions', 'functions-2'],
    [patient, '-Ddrey.functions.processes=2', `-Ddrey.functions.http.port=${port}`],
  );
  const log = await appmaster.log();
  assert.match(log, new RegExp(`functions ready, health and metrics on port ${port}\n`));
  assert.match(log, new RegExp(`functions-2 ready, health and metrics on port ${port + 1}\n`));
  await appmaster.stop();
});

test('appmaster: two on one state directory are refused', async () => {
  const nowhere = `127.0.0.1:${await freePort()}`;
  const appmaster = await startAppmaster(nowhere, ['functions'], [patient]);
  const state = join(scratch, String(started), 'state');
  await assert.rejects(startAppmaster(nowhere, [], [`-Ddrey.state.dir=${state}`]), (error) => {
    assert.match(String(error), /drey\.state\.dir: another appmaster uses .*; stop it or give/);
    return true;
  });
  await appmaster.stop();
});
