import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { leftoversOf } from '#test/world/leftovers.ts';
import { note } from './notes.ts';

const demo = resolve(import.meta.dirname, '../../deploy/local/demo');
const versions = process.env.DREY_FULL === '1' ? ['2.3.0', '1.20.5'] : ['2.3.0'];

const lastLine = z.strictObject({
  job: z.literal('FINISHED'),
  taskManagers: z.literal(2),
  frameworkId: z.string().min(1),
  words: z.record(z.string(), z.int()),
  seconds: z.strictObject({
    setup: z.number(),
    stack: z.number(),
    firstTaskManager: z.number(),
    job: z.number(),
  }),
});

for (const version of versions) {
  test(`journeys: the demo with Flink ${version} counts words, says so in its last line, leaves nothing`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'drey-demo-'));
    try {
      const { code, output } = await run(['--flink', version], folder);
      assert.equal(code, 0, output);
      const said = lastLine.parse(JSON.parse(output.trimEnd().split('\n').at(-1) ?? ''));
      assert.equal(said.words.that, 13);
      assert.equal(said.words.nation, undefined, 'only the most frequent words are told');
      note(`demo with ${version}`, said.seconds);
      assert.deepEqual(leftoversOf(folder), []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

test('journeys: the demo refuses what it does not know in one sentence', async () => {
  const { code, output } = await run(['--flink', '1.13.6'], tmpdir());
  assert.equal(code, 1);
  assert.match(output, /^--flink 1\.13\.6 is not known; there are 2\.3\.0 and 1\.20\.5\n$/);
});

/** Runs the demo with a folder of its own, so that it does not meet a stack that runs already. */
function run(
  args: readonly string[],
  folder: string,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const env = { ...process.env, DREY_LOCAL_RUN: join(folder, 'run') };
  const child = spawn(demo, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((done) => child.once('close', (code) => done({ code, output })));
}
