import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';

const script = resolve(import.meta.dirname, '../../deploy/bin/mesos-taskmanager.sh');
const scratch = mkdtempSync(join(tmpdir(), 'drey-taskmanager-'));
after(() => rmSync(scratch, { recursive: true }));

/** A Java that prints its arguments, one per line. */
function fakeJava(): string {
  const bin = join(scratch, 'java', 'bin');
  mkdirSync(bin, { recursive: true });
  const file = join(bin, 'java');
  writeFileSync(file, '#!/bin/sh\nfor each in "$@"; do printf "%s\\n" "$each"; done\n');
  chmodSync(file, 0o755);
  writeFileSync(join(scratch, 'java', 'release'), 'JAVA_VERSION="17"\n');
  return join(scratch, 'java');
}

/** A Flink with empty jars, as it lies in a sandbox. */
function sandbox(): string {
  const folder = mkdtempSync(join(scratch, 'sandbox-'));
  for (const name of ['lib', 'conf', 'bin']) mkdirSync(join(folder, name));
  const jars = ['log4j-core', 'flink-dist', 'zookeeper', 'drey-flink-driver', 'Z'];
  for (const name of jars.map((jar) => `${jar}.jar`)) {
    writeFileSync(join(folder, 'lib', name), '');
  }
  writeFileSync(join(folder, 'conf', 'log4j-console.properties'), '');
  return folder;
}

function start(shell: string, folder: string, environment: Readonly<Record<string, string>>) {
  const env = { PATH: '/usr/bin:/bin', MESOS_SANDBOX: folder, FLINK_HOME: '.', ...environment };
  return spawnSync(shell, [script], { cwd: folder, env, encoding: 'utf8' });
}

for (const shell of ['/bin/bash', '/bin/dash']) {
  test(`appmaster: a TaskManager gets every flag and property whole (${shell})`, () => {
    const folder = sandbox();
    const ended = start(shell, folder, {
      JAVA_HOME: fakeJava(),
      JVM_ARGS: '-Xmx100 -Xms100',
      FLINK_ENV_JAVA_OPTS: '-Dall=*',
      FLINK_ENV_JAVA_OPTS_TM: '-Dtm=1',
      DREY_TASKMANAGER_PROPERTIES:
        'taskmanager.resource-id=taskmanager-00001\nsome.key=a b; $(touch x) "q"\ntaskmanager.rpc.port=31001',
    });
    assert.equal(ended.stderr, '');
    const lines = ended.stdout.trim().split('\n');
    for (const flag of ['-Xmx100', '-Xms100', '-Dall=*', '-Dtm=1']) assert.ok(lines.includes(flag));
    assert.ok(lines.includes('--add-opens=java.base/java.util=ALL-UNNAMED'));
    assert.ok(lines.includes(`-Djava.io.tmpdir=${folder}/tmp`));
    assert.ok(lines.includes(`-Dlog.file=${folder}/flink-taskmanager.log`));
    assert.ok(
      lines.includes(`-Dlog4j.configurationFile=file:${folder}/conf/log4j-console.properties`),
    );
    const jars = 'lib/Z.jar:lib/log4j-core.jar:lib/zookeeper.jar:lib/flink-dist.jar';
    assert.equal(lines[lines.indexOf('-classpath') + 1], jars);
    const main = lines.indexOf('org.apache.flink.runtime.taskexecutor.TaskManagerRunner');
    assert.deepEqual(lines.slice(main + 1), [
      '--configDir',
      `${folder}/conf`,
      '-Dtaskmanager.resource-id=taskmanager-00001',
      '-Dsome.key=a b; $(touch x) "q"',
      '-Dtaskmanager.rpc.port=31001',
    ]);
  });

  test(`appmaster: a TaskManager outside of its sandbox names its jars in full (${shell})`, () => {
    const home = sandbox();
    const ended = start(shell, scratch, { JAVA_HOME: fakeJava(), FLINK_HOME: home });
    const lines = ended.stdout.trim().split('\n');
    const classPath = lines[lines.indexOf('-classpath') + 1] ?? '';
    assert.equal(classPath.split(':')[0], `${home}/lib/Z.jar`);
  });

  test(`appmaster: a class archive is used by the Java that wrote it only (${shell})`, () => {
    const folder = sandbox();
    const archive = join(folder, 'class-archive');
    const flag = `-XX:SharedArchiveFile=${archive}/taskmanager.jsa`;
    const flags = (): readonly string[] =>
      start(shell, folder, { JAVA_HOME: fakeJava(), JVM_ARGS: '-Xmx1m' }).stdout.split('\n');
    mkdirSync(archive);
    writeFileSync(join(archive, 'taskmanager.jsa'), '');
    writeFileSync(join(archive, 'release'), 'JAVA_VERSION="17"\n');
    assert.ok(flags().includes(flag));
    assert.ok(flags().indexOf(flag) < flags().indexOf('-Xmx1m'), 'what is configured comes later');
    writeFileSync(join(archive, 'release'), 'JAVA_VERSION="17.0.1"\n');
    assert.ok(!flags().includes(flag));
  });

  test(`appmaster: what an agent lacks is said in one line (${shell})`, () => {
    const empty = mkdtempSync(join(scratch, 'empty-'));
    const wrong: readonly (readonly [string, Readonly<Record<string, string>>, RegExp])[] = [
      [sandbox(), { JAVA_HOME: '/nowhere' }, /JAVA_HOME: there is no \/nowhere\/bin\/java.*set /],
      [sandbox(), { PATH: toolsWithoutJava() }, /no Java on this agent.*install Java 17 or set /],
      [empty, { JAVA_HOME: fakeJava() }, /FLINK_HOME: there are no jars in .*ship Flink's lib/],
      [empty, { FLINK_HOME: '/nowhere' }, /FLINK_HOME: there is no directory \/nowhere/],
    ];
    for (const [folder, environment, message] of wrong) {
      const ended = start(shell, folder, environment);
      assert.equal(ended.status, 1);
      assert.match(ended.stderr, message);
      assert.equal(ended.stderr.trim().split('\n').length, 1);
    }
  });
}

/** The few commands that the script needs, and nothing else. */
function toolsWithoutJava(): string {
  const bin = mkdtempSync(join(scratch, 'bin-'));
  for (const name of ['dirname', 'ls', 'mkdir']) {
    writeFileSync(join(bin, name), `#!/bin/sh\nPATH=/usr/bin:/bin exec ${name} "$@"\n`);
    chmodSync(join(bin, name), 0o755);
  }
  return bin;
}
