import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { extract } from 'tar-stream';
import { rangeOf } from '#gateway/artifacts/range.ts';
import { serveArtifacts } from '#gateway/artifacts/server.ts';
import { makeShipment } from '#gateway/artifacts/shipment.ts';
import { Configuration } from '#runtime/config/configuration.ts';

function scratch(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'drey-artifacts-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A Flink home with a linked plugin, a link to nowhere and a link in a circle. */
function flinkHome(dir: string): string {
  const home = join(dir, 'flink');
  for (const name of ['lib', 'bin', 'plugins/s3', 'opt', 'class-archive']) {
    mkdirSync(join(home, name), { recursive: true });
  }
  writeFileSync(join(home, 'lib/flink-dist.jar'), 'dist'.repeat(1000));
  writeFileSync(join(home, 'bin/config.sh'), '#!/bin/sh\n');
  chmodSync(join(home, 'bin/config.sh'), 0o755);
  writeFileSync(join(home, 'bin/mesos-taskmanager.sh'), 'the old one');
  writeFileSync(join(dir, 'outside.jar'), 'outside');
  symlinkSync(join(dir, 'outside.jar'), join(home, 'plugins/s3/linked.jar'));
  symlinkSync(join(home, 'plugins'), join(home, 'plugins/s3/circle'));
  symlinkSync(join(home, 'nowhere'), join(home, 'lib/broken'));
  writeFileSync(join(home, 'opt/not-shipped.jar'), 'no');
  writeFileSync(join(home, 'class-archive/taskmanager.jsa'), 'its classes');
  writeFileSync(join(home, 'class-archive/jobmanager.jsa'), 'not needed on agents');
  return home;
}

const config = new Configuration([
  { key: 'taskmanager.memory.process.size', value: '1g', origin: '-D' },
  { key: 'pipeline.jars', value: 'a;b', origin: '-D', list: ['a', 'b'] },
  { key: 's3.secret-key', value: 'needed', origin: '-D' },
  { key: 'mesos.resourcemanager.framework.secret', value: 'hidden', origin: '-D' },
  { key: 'drey.nats.password', value: 'hidden', origin: '-D' },
  { key: 'containerized.taskmanager.env.DB_PW', value: 'hidden', origin: '-D' },
]);

async function contents(path: string): Promise<Map<string, { text: string; mode: number }>> {
  const found = new Map<string, { text: string; mode: number }>();
  const reader = extract();
  reader.on('entry', (entry, stream, next) => {
    const parts: Buffer[] = [];
    stream.on('data', (part) => parts.push(part as Buffer));
    stream.on('end', () => {
      found.set(entry.name, { text: Buffer.concat(parts).toString(), mode: entry.mode ?? 0 });
      next();
    });
  });
  reader.end(readFileSync(path));
  await once(reader, 'finish');
  return found;
}

test('artifacts: one archive holds what a TaskManager needs, links followed, our own entry in it', async (t) => {
  const dir = scratch(t);
  const options = { config, flinkHome: flinkHome(dir), stateDir: join(dir, 'state') };
  const { artifacts } = await makeShipment(options);
  const [flink, conf] = artifacts;
  assert.ok(flink && conf);
  const files = await contents(flink.path);
  assert.deepEqual([...files.keys()].sort(), [
    'bin/config.sh',
    'bin/mesos-taskmanager.sh',
    'class-archive/taskmanager.jsa',
    'lib/flink-dist.jar',
    'plugins/s3/linked.jar',
  ]);
  assert.equal(files.get('bin/config.sh')?.mode, 0o755);
  assert.match(files.get('bin/mesos-taskmanager.sh')?.text ?? '', /TaskManager/);
  assert.equal(files.get('plugins/s3/linked.jar')?.text, 'outside');
  const hash = createHash('sha256').update(readFileSync(flink.path)).digest('hex');
  assert.equal(flink.sha256, hash);
});

test('artifacts: secrets of Mesos and drey are not shipped, those of file systems are', async (t) => {
  const dir = scratch(t);
  const confDir = join(dir, 'conf');
  mkdirSync(confDir);
  writeFileSync(join(confDir, 'log4j-console.properties'), 'x=1');
  writeFileSync(join(confDir, 'other.txt'), 'x');
  const { artifacts } = await makeShipment({ config, confDir, stateDir: join(dir, 'state') });
  const files = await contents(artifacts[0]?.path ?? '');
  assert.deepEqual([...files.keys()], ['conf/config.yaml', 'conf/log4j-console.properties']);
  assert.equal(files.get('conf/config.yaml')?.mode, 0o600);
  const text = files.get('conf/config.yaml')?.text ?? '';
  assert.doesNotMatch(text, /hidden|mesos\.|drey\./);
  assert.match(text, /"s3\.secret-key": "needed"/);
  assert.match(text, /"pipeline\.jars": \["a","b"\]/);
});

test('artifacts: the same files give the same bytes, URLs and token after a restart', async (t) => {
  const dir = scratch(t);
  const home = flinkHome(dir);
  const options = { config, flinkHome: home, stateDir: join(dir, 'state') };
  const first = await makeShipment(options);
  const second = await makeShipment(options);
  assert.deepEqual(second, first);
  utimesSync(join(home, 'lib/flink-dist.jar'), 1, 1);
  const touched = await makeShipment(options);
  assert.equal(touched.artifacts[0]?.sha256, first.artifacts[0]?.sha256);
  const elsewhere = await makeShipment({ ...options, stateDir: join(dir, 'other') });
  assert.equal(elsewhere.artifacts[0]?.sha256, first.artifacts[0]?.sha256);
  assert.notEqual(elsewhere.token, first.token);
  writeFileSync(join(home, 'lib/user.jar'), 'new');
  const changed = await makeShipment(options);
  assert.notEqual(changed.artifacts[0]?.sha256, first.artifacts[0]?.sha256);
  assert.equal(changed.token, first.token);
});

test('artifacts: exact paths only; HEAD, Range, ETag, 404, 405, 410, 416', async (t) => {
  const dir = scratch(t);
  const shipment = await makeShipment({ config, stateDir: join(dir, 'state') });
  const [artifact] = shipment.artifacts;
  assert.ok(artifact);
  const stateDir = join(dir, 'state');
  const at = { host: '127.0.0.1', port: 0, address: 'advertised.example' };
  const server = await serveArtifacts(shipment, at, stateDir);
  t.after(() => server.close());
  const [url = ''] = server.urls;
  const { pathname, hostname } = new URL(url);
  assert.equal(hostname, 'advertised.example');
  assert.equal(pathname, `/${shipment.token}/${artifact.sha256}/conf.tar`);
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(`http://127.0.0.1:${server.port}${path}`, init);
  const whole = await ask(pathname);
  const bytes = Buffer.from(await whole.arrayBuffer());
  assert.deepEqual(bytes, readFileSync(artifact.path));
  assert.equal(whole.headers.get('content-length'), String(artifact.size));
  const etag = whole.headers.get('etag') ?? '';
  const head = await ask(pathname, { method: 'HEAD' });
  assert.equal(head.headers.get('content-length'), String(artifact.size));
  const part = await ask(pathname, { headers: { range: 'bytes=10-19' } });
  assert.equal(part.status, 206);
  assert.equal(part.headers.get('content-range'), `bytes 10-19/${artifact.size}`);
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), bytes.subarray(10, 20));
  const stale = await ask(pathname, { headers: { range: 'bytes=0-1', 'if-range': '"other"' } });
  assert.equal(stale.status, 200);
  await stale.arrayBuffer();
  assert.equal((await ask(pathname, { headers: { 'if-none-match': etag } })).status, 304);
  assert.equal((await ask(pathname, { headers: { range: 'bytes=99999999-' } })).status, 416);
  assert.equal((await ask(pathname, { method: 'POST', body: 'x' })).status, 405);
  for (const path of [
    '/',
    `/${shipment.token}/`,
    `/x/${artifact.sha256}/conf.tar`,
    '/..%2ftoken',
  ]) {
    assert.equal((await ask(path)).status, 404, path);
  }
  unlinkSync(artifact.path);
  assert.equal((await ask(pathname)).status, 410);
  const busy = { host: '127.0.0.1', port: server.port, address: 'a' };
  await assert.rejects(
    serveArtifacts(shipment, busy, stateDir),
    /artifactserver\.port: cannot listen/,
  );
});

test('artifacts: any free port is the same one after a restart, unless somebody took it', async (t) => {
  const stateDir = join(scratch(t), 'state');
  const shipment = await makeShipment({ config, stateDir });
  const at = { host: '127.0.0.1', port: 0, address: 'localhost' };
  const first = await serveArtifacts(shipment, at, stateDir);
  const beside = await serveArtifacts(shipment, at, stateDir);
  t.after(() => beside.close());
  assert.notEqual(beside.port, first.port);
  await first.close();
  await beside.close();
  const again = await serveArtifacts(shipment, at, stateDir);
  t.after(() => again.close());
  assert.deepEqual(again.urls, beside.urls);
});

test('artifacts: with a PKCS12 keystore they are served over TLS', async (t) => {
  const dir = scratch(t);
  const keystore = join(dir, 'rest.p12');
  // Every machine that runs Flink has the JDK's keytool.
  const keytool = 'keytool';
  const store = ['-keystore', keystore, '-storetype', 'PKCS12', '-storepass', 'secret'];
  const names = ['-dname', 'CN=localhost', '-ext', 'SAN=dns:localhost'];
  const make = ['-genkeypair', '-keyalg', 'RSA', '-alias', 'a', ...names, ...store];
  execFileSync(keytool, make, { stdio: 'ignore' });
  const ca = execFileSync(keytool, ['-exportcert', '-rfc', '-alias', 'a', ...store]);
  const shipment = await makeShipment({ config, stateDir: join(dir, 'state') });
  const at = { host: '127.0.0.1', port: 0, address: 'localhost' };
  const tls = { keystore, password: 'secret' };
  const server = await serveArtifacts(shipment, { ...at, tls }, join(dir, 'state'));
  t.after(() => server.close());
  const [url = ''] = server.urls;
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const options = { ca, host: '127.0.0.1', servername: 'localhost' };
    get(url, options, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on('error', reject);
  });
  assert.equal(status, 200);
  const stateDir = join(dir, 'state');
  const wrong = serveArtifacts(shipment, { ...at, tls: { ...tls, password: 'no' } }, stateDir);
  await assert.rejects(wrong, /security\.ssl\.rest\.keystore: .*PKCS12/);
});

test('artifacts: a missing Flink and an unwritable directory are told with the key', async (t) => {
  const dir = scratch(t);
  const stateDir = join(dir, 'state');
  const missing = makeShipment({ config, flinkHome: join(dir, 'none'), stateDir });
  await assert.rejects(missing, /drey\.flink\.home: there are no jars/);
  writeFileSync(join(dir, 'file'), '');
  const unwritable = makeShipment({ config, stateDir: join(dir, 'file') });
  await assert.rejects(unwritable, /drey\.state\.dir: .*name a directory/);
});

test('artifacts: ranges are read as RFC 9110 has them', () => {
  assert.deepEqual(rangeOf('bytes=0-', 10), { start: 0, end: 9 });
  assert.deepEqual(rangeOf('bytes=-3', 10), { start: 7, end: 9 });
  assert.deepEqual(rangeOf('bytes=5-100', 10), { start: 5, end: 9 });
  assert.equal(rangeOf('bytes=10-', 10), 'unsatisfiable');
  assert.equal(rangeOf('bytes=-0', 10), 'unsatisfiable');
  for (const all of [undefined, 'bytes=', 'bytes=5-2', 'bytes=1-2,3-4', 'lines=1-2']) {
    assert.equal(rangeOf(all, 10), undefined);
  }
});
