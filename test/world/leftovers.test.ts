import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { leftoversOf } from './leftovers.ts';
import { until } from './until.ts';

const scratch = mkdtempSync(join(tmpdir(), 'drey-leftovers-'));
after(() => rmSync(scratch, { recursive: true }));

test('world: a process that knows its folder from its environment alone is a leftover of it', async () => {
  const env = { PATH: process.env.PATH, DREY_STATE_DIR: join(scratch, 'state') };
  const child = spawn('sleep', ['1000'], { cwd: '/', env, stdio: 'ignore' });
  try {
    await until(() => leftoversOf(scratch).some(({ pid }) => pid === child.pid), {
      deadlineMs: 10_000,
      what: 'it is found',
    });
    assert.deepEqual(leftoversOf(join(scratch, 'another')), []);
  } finally {
    child.kill('SIGKILL');
  }
});
