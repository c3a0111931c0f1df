import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { flinkJars } from '#deploy/appmaster/flink-home.ts';
import { splitFlags } from '#deploy/appmaster/jobmanager-command.ts';

test('appmaster: the class path is that of the old scripts, flink-dist last, then the driver', () => {
  const home = mkdtempSync(join(tmpdir(), 'drey-home-'));
  try {
    mkdirSync(join(home, 'lib'));
    const driver = 'drey-flink-driver.jar';
    const files = ['log4j-core.jar', 'flink-dist-2.3.0.jar', 'flink-cep.jar', driver, 'README'];
    for (const name of files) writeFileSync(join(home, 'lib', name), '');
    const namesFor = (demand: 'fixed' | 'driver'): readonly string[] =>
      flinkJars(home, demand).map((path) => basename(path));
    const jars = ['flink-cep.jar', 'log4j-core.jar', 'flink-dist-2.3.0.jar'];
    assert.deepEqual(namesFor('fixed'), jars);
    assert.deepEqual(namesFor('driver'), [...jars, driver]);
  } finally {
    rmSync(home, { recursive: true });
  }
});

test('appmaster: flags of env.java.opts are split at blanks, quotes hold a flag together', () => {
  assert.deepEqual(splitFlags(` -Xss1m  -Da="b c" '-Dd=e f' -Dg=h'i j' `), [
    '-Xss1m',
    '-Da=b c',
    '-Dd=e f',
    '-Dg=hi j',
  ]);
  assert.deepEqual(splitFlags(''), []);
});
