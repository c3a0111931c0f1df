import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countsOf } from './counts.ts';

const ended = { code: 0, timedOut: false, output: '', seconds: 1 };
const closing = (pass: number, fail: number): string =>
  `# tests ${pass + fail}\n# pass ${pass}\n# fail ${fail}\n# cancelled 0\n# skipped 0\n# todo 0\n`;

test('suite: a failed test is counted and named', () => {
  const report = `ok 1 - a: works\nnot ok 2 - a: breaks\n${closing(1, 1)}`;
  const counts = countsOf('a.test.ts', report, { ...ended, code: 1 }, 1);
  assert.deepEqual(counts, { passed: 1, failed: 1, failures: ['a.test.ts: a: breaks'] });
});

test('suite: a file that dies without a report counts as failed', () => {
  assert.equal(countsOf('a.test.ts', '', { ...ended, code: 1 }, 1).failed, 1);
});

test('suite: a file without a test counts as failed', () => {
  assert.equal(countsOf('a.test.ts', closing(0, 0), ended, 1).failed, 1);
});

test('suite: a hung file keeps its passes and counts as failed', () => {
  const counts = countsOf('a.test.ts', 'ok 1 - a: works\n', { ...ended, timedOut: true }, 60_000);
  assert.deepEqual([counts.passed, counts.failed], [1, 1]);
});

test('suite: a skipped test is not a pass', () => {
  const report = closing(1, 0).replace('# skipped 0', '# skipped 1');
  assert.equal(countsOf('a.test.ts', report, ended, 1).failed, 1);
});
