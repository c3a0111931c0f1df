import assert from 'node:assert/strict';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LogFile } from '#deploy/appmaster/log-file.ts';

test('appmaster: the log of a process that runs for years keeps within its bounds', () => {
  const folder = mkdtempSync(join(tmpdir(), 'drey-log-'));
  try {
    const path = join(folder, 'part.log');
    const log = new LogFile(path, assert.fail, 10);
    for (const line of ['first line\n', 'second line\n', 'third line\n']) log.write(line);
    log.close();
    assert.equal(readFileSync(path, 'utf8'), 'third line\n');
    assert.equal(readFileSync(`${path}.1`, 'utf8'), 'second line\n');
    const again = new LogFile(path, assert.fail, 1000);
    again.write('after a restart\n');
    again.close();
    assert.equal(readFileSync(path, 'utf8'), 'third line\nafter a restart\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('appmaster: a log that cannot be begun anew is told once and closes no file but its own', () => {
  const folder = mkdtempSync(join(tmpdir(), 'drey-log-'));
  const opened: number[] = [];
  try {
    const told: string[] = [];
    const path = join(folder, 'logs', 'part.log');
    mkdirSync(join(folder, 'logs'));
    const log = new LogFile(path, (why) => void told.push(why), 10);
    log.write('first line\n');
    rmSync(join(folder, 'logs'), { recursive: true });
    log.write('lost\n');
    // Whatever opens a file now would get the number of one that was closed.
    for (let n = 0; n < 5; n++) opened.push(openSync(join(folder, String(n)), 'w'));
    log.write('lost\n');
    for (const descriptor of opened) closeSync(descriptor);
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /part\.log: ENOENT/);
    mkdirSync(join(folder, 'logs'));
    log.write('kept\n');
    log.close();
    assert.equal(readFileSync(path, 'utf8'), 'kept\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
