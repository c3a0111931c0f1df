import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Ended } from '#deploy/appmaster/ended.ts';
import { Part } from '#deploy/appmaster/part.ts';
import { until } from '#test/world/until.ts';

const scratch = mkdtempSync(join(tmpdir(), 'drey-part-'));
after(() => rmSync(scratch, { recursive: true }));

/** Starts a shell; its lines and its ends are noted. */
function start(script: string) {
  const lines: string[] = [];
  const ends: Ended[] = [];
  const log = join(mkdtempSync(join(scratch, 'part-')), 'part.log');
  const part = new Part({
    name: 'part',
    log,
    command: () => ({ file: '/bin/sh', args: ['-c', script], env: process.env, cwd: scratch }),
    onLine: (line) => void lines.push(line),
    onEnd: (ended) => {
      ends.push(ended);
      return 'leave';
    },
    say: () => {},
  });
  part.start();
  return { part, lines, ends, log };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('appmaster: what a part leaves running in its group goes with it, and its end is seen', async () => {
  const { lines, ends, log } = start('sleep 1000 & echo $!; echo last words; exit 3');
  await until(() => ends.length === 1, { deadlineMs: 10_000, what: 'the end is seen' });
  assert.equal(ends[0]?.code, 3);
  assert.deepEqual(ends[0]?.lastLines, [lines[0], 'last words']);
  assert.equal(readFileSync(log, 'utf8'), `${lines[0]}\nlast words\n`);
  await until(() => !isAlive(Number(lines[0])), { deadlineMs: 10_000, what: 'the child is gone' });
});

test('appmaster: the end of a part is seen though its log was moved away', async () => {
  const { part, lines, ends, log } = start('echo here; exec sleep 1000');
  await until(() => lines.length > 0, { deadlineMs: 10_000, what: 'it runs' });
  renameSync(log, `${log}.old`);
  process.kill(part.pid ?? 0, 'SIGKILL');
  await until(() => ends.length === 1, { deadlineMs: 10_000, what: 'the end is seen' });
  assert.equal(ends[0]?.how, 'was ended by SIGKILL');
  assert.deepEqual(ends[0]?.lastLines, []);
});

test('appmaster: the end of a part is seen though a process of another group holds its output', async () => {
  const { part, lines, ends } = start(
    "setsid sh -c 'echo $$ | tee away; exec sleep 1000' & until [ -s away ]; do sleep 0.01; done; exit 3",
  );
  await until(() => lines.length > 0, { deadlineMs: 10_000, what: 'the child runs' });
  try {
    await until(() => ends.length === 1, { deadlineMs: 10_000, what: 'the end is seen' });
    assert.equal(ends[0]?.code, 3);
    assert.equal(part.running, false);
  } finally {
    process.kill(Number(lines[0]), 'SIGKILL');
  }
});
