import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startNats } from '#test/world/nats.ts';
import { generator } from './users.ts';

const clusters = ['blue', 'green'];

async function scratch(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'drey-keys-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

function generate(cluster: string, to: string): void {
  execFileSync(generator, ['--cluster', cluster, '--to', to], { stdio: 'pipe' });
}

test('access: one directory holds the keys of several clusters, and one server takes them all', async (t) => {
  const dir = await scratch(t);
  const to = join(dir, 'access');
  for (const cluster of clusters) generate(cluster, to);
  const includes = clusters.map((cluster) => `  include "access/drey-${cluster}.conf"\n`);
  const server = await startNats({ dir, configuration: `accounts {\n${includes.join('')}}\n` });
  await server.stop();
});

test('access: seeds are for their user only, the configuration is for the server as well', async (t) => {
  const to = join(await scratch(t), 'access');
  // The modes are at most this; where people allow less, less it is.
  const before = process.umask(0o022);
  t.after(() => void process.umask(before));
  generate('blue', to);
  const modeOf = (path: string): number => statSync(path).mode & 0o777;
  assert.equal(modeOf(to), 0o755);
  for (const name of readdirSync(to)) {
    assert.equal(modeOf(join(to, name)), name.endsWith('.nkey') ? 0o600 : 0o644, name);
  }
});

test('access: keys that are there stay', async (t) => {
  const to = await scratch(t);
  generate('blue', to);
  const texts = () => readdirSync(to).map((name) => readFileSync(join(to, name), 'utf8'));
  const before = texts();
  generate('blue', to);
  assert.deepEqual(texts(), before);
});

test('access: for a name that no cluster can have nothing is written', async (t) => {
  const to = join(await scratch(t), 'access');
  assert.throws(() => generate('../a', to), /may hold letters, digits, - and _ only/);
  assert.equal(existsSync(to), false);
});
