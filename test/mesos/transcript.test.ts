import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Scheduler } from './scheduler.ts';
import { onStage } from './stage.ts';

test('mesos: a transcript keeps what schedulers said and were told, also over a restart of the master', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'drey-transcript-'));
  const file = join(dir, 'transcript.jsonl');
  try {
    await onStage([`--transcript=${file}`], async ({ address, restartMaster }) => {
      for (const id of ['first', 'second']) {
        const scheduler = await Scheduler.subscribe(address, { info: { id: { value: id } } });
        await scheduler.close();
        await restartMaster();
      }
    });
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
    const read = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      read.map(({ call, event, status, framework }) => ({
        said: call ?? event,
        status,
        framework,
      })),
      ['first', 'second'].flatMap((framework) => [
        { said: 'SUBSCRIBE', status: 200, framework },
        { said: 'SUBSCRIBED', status: undefined, framework },
      ]),
    );
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
