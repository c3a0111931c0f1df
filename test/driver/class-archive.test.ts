import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { archiveFolder, classArchiveFlags } from '#deploy/appmaster/class-archive.ts';
import { flinkJars } from '#deploy/appmaster/flink-home.ts';
import { findJava } from '#deploy/appmaster/java.ts';
import { makeShipment } from '#gateway/artifacts/shipment.ts';
import { Configuration } from '#runtime/config/configuration.ts';
import { flinkVersions, prepareFlink } from './flink.ts';

const installScript = join(import.meta.dirname, '../../deploy/install/flink.sh');
const configuration = new Configuration([]);
const mapped = /^.*taskexecutor\.TaskManagerRunner source: shared objects file \(top\)$/m;
const read = /^.*taskexecutor\.TaskManagerRunner source: file:.*flink-runtime.*\.jar$/m;

for (const version of flinkVersions) {
  describe(`driver: class archives of Flink ${version}`, () => {
    test('driver: a TaskManager in its sandbox maps its classes, and reads them when jars differ', async (t) => {
      const sandbox = await shippedTo(t, await homeOf(version));
      const first = startTaskManager(sandbox);
      assert.match(first.stdout, mapped);
      const [jar = ''] = flinkJars(sandbox, 'fixed');
      copyFileSync(jar, join(sandbox, 'lib/A.jar'));
      const second = startTaskManager(sandbox);
      assert.match(second.stdout, read);
      assert.equal(second.status, first.status);
    });

    test('driver: the JobManager maps its classes, with the Java that archived them only', async (t) => {
      const home = await homeOf(version);
      const java = findJava(configuration, process.env).path;
      const flags = classArchiveFlags(home, java);
      assert.equal(flags.length, 1);
      const jars = flinkJars(home, 'driver').join(':');
      // With `on` Java ends where an archive does not fit.
      const args = ['-Xshare:on', ...flags, '-classpath', jars, '-version'];
      assert.equal(spawnSync(java, args).status, 0);
      const other = join(scratch(t), 'other');
      mkdirSync(join(other, 'bin'), { recursive: true });
      writeFileSync(join(other, 'bin/java'), '');
      assert.deepEqual(classArchiveFlags(home, join(other, 'bin/java')), []);
      writeFileSync(join(other, 'release'), 'JAVA_VERSION="17"\n');
      assert.deepEqual(classArchiveFlags(home, join(other, 'bin/java')), []);
    });
  });
}

/** Archives that could not be made are made again, since an install by itself tries once. */
async function homeOf(version: (typeof flinkVersions)[number]): Promise<string> {
  const flink = await prepareFlink(version, {});
  await flink.stop();
  const { home } = flink;
  if (existsSync(join(home, archiveFolder))) return home;
  rmSync(join(home, '.classes-stamp'), { force: true });
  const again = spawnSync(installScript, [version], { encoding: 'utf8' });
  assert.ok(existsSync(join(home, archiveFolder)), again.stderr);
  return home;
}

/** A sandbox with what the gateway ships of this home, unpacked as Mesos' fetcher does it. */
async function shippedTo(t: TestContext, flinkHome: string): Promise<string> {
  const dir = scratch(t);
  const sandbox = join(dir, 'sandbox');
  mkdirSync(sandbox);
  const options = { config: configuration, flinkHome, stateDir: join(dir, 'state') };
  const { artifacts } = await makeShipment(options);
  for (const { path } of artifacts) execFileSync('tar', ['-C', sandbox, '-xf', path]);
  return sandbox;
}

/** Starts it without the memory that it needs: it says so and ends. */
function startTaskManager(sandbox: string): { readonly status: number | null; stdout: string } {
  const env = {
    PATH: process.env.PATH,
    JAVA_HOME: process.env.JAVA_HOME,
    FLINK_HOME: '.',
    MESOS_SANDBOX: sandbox,
    JVM_ARGS: '-Xlog:class+load',
  };
  const script = join(sandbox, 'bin/mesos-taskmanager.sh');
  const ended = spawnSync(script, { cwd: sandbox, env, encoding: 'utf8', maxBuffer: 1 << 26 });
  assert.match(ended.stdout, /memory/, ended.stderr);
  return ended;
}

function scratch(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'drey-classes-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
