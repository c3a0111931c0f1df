import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
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
