import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { note } from './session.ts';

const run = promisify(execFile);
const deploy = join(import.meta.dirname, '../../deploy');

test('driver: two installs of Flink at once share the work, and a third has nothing to do', async (t) => {
  const { script, home } = await copyOfInstall(t);
  const started = performance.now();
  const both = await Promise.all([run(script, ['2.3.0']), run(script, ['2.3.0'])]);
  note('two installs at once', started);
  const built = both.filter(({ stdout }) => stdout.includes('driver ready'));
  assert.equal(built.length, 1, 'only one of them builds');
  const jars = await readdir(join(home, 'lib'));
  assert.equal(jars.filter((name) => name.endsWith('.jar')).length, 46);
  assert.ok(jars.includes('drey-flink-driver.jar'));
  assert.equal((await run(script, ['2.3.0'])).stdout, 'flink 2.3.0: nothing to do\n');
  const left = (await readdir(join(home, '..'))).filter((name) => name.startsWith('flink-2.3.0.'));
  assert.deepEqual(left, [], 'no scratch folder stays');
});

test('driver: a jar of Flink that is not the recorded one is not installed', async (t) => {
  const { script, home, root } = await copyOfInstall(t);
  const sums = join(root, 'deploy/install/flink-2.3.0.sha256');
  const recorded = await readFile(sums, 'utf8');
  await writeFile(sums, recorded.replace(/^[0-9a-f]{8}/, '00000000'));
  await assert.rejects(
    run(script, ['2.3.0']),
    (error: Error & { code: number; stderr: string }) => {
      assert.equal(error.code, 1);
      assert.match(error.stderr, /is not the one recorded in deploy.install.flink-2.3.0.sha256/);
      return true;
    },
  );
  assert.ok(!existsSync(home));
});

test('driver: a jar that goes into the driver but is not the recorded one is not used', async (t) => {
  const { script, home, root } = await copyOfInstall(t);
  await run('cp', ['-a', join(deploy, '../.drey/flink-2.3.0'), join(root, '.drey')]);
  for (const name of ['.driver-stamp', 'lib/drey-flink-driver.jar']) await rm(join(home, name));
  const sums = join(root, 'deploy/install/flink-driver.sha256');
  const recorded = await readFile(sums, 'utf8');
  await writeFile(sums, recorded.replace(/^[0-9a-f]{8}/, '00000000'));
  await assert.rejects(
    run(script, ['2.3.0']),
    (error: Error & { code: number; stderr: string }) => {
      assert.equal(error.code, 1);
      assert.match(error.stderr, /is not the one recorded in deploy.install.flink-driver.sha256/);
      return true;
    },
  );
  assert.ok(!existsSync(join(home, 'lib/drey-flink-driver.jar')));
});

/** The install script with what it needs, below a root of its own. */
async function copyOfInstall(
  t: TestContext,
): Promise<{ readonly root: string; readonly script: string; readonly home: string }> {
  const root = await mkdtemp(join(tmpdir(), 'drey-install-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  await cp(join(deploy, 'install'), join(root, 'deploy/install'), { recursive: true });
  await cp(join(deploy, 'flink'), join(root, 'deploy/flink'), { recursive: true });
  await mkdir(join(root, '.drey'));
  return {
    root,
    script: join(root, 'deploy/install/flink.sh'),
    home: join(root, '.drey/flink-2.3.0'),
  };
}
