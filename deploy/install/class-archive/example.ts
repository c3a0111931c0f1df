import { openAsBlob } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';

const entryClass = 'org.apache.flink.streaming.examples.windowing.TopSpeedWindowing';
const deadlineMs = 180_000;
const everyMs = 100;

const overview = z.object({ 'slots-available': z.int() });
const uploaded = z.object({ filename: z.string() });
const submitted = z.object({ jobid: z.string() });
const checkpoints = z.object({ counts: z.object({ completed: z.int() }) });
const job = z.object({ state: z.string() });

/** Runs the example job on the Flink at this address until it has taken a checkpoint, and cancels it. */
export async function runExample(url: string, jar: string): Promise<void> {
  const get = async (path: string): Promise<unknown> => answered(await fetch(`${url}${path}`));
  await until(
    'a slot is free',
    async () => overview.parse(await get('/overview'))['slots-available'] > 0,
  );
  const form = new FormData();
  form.set('jarfile', await openAsBlob(jar), basename(jar));
  const upload = await fetch(`${url}/jars/upload`, { method: 'POST', body: form });
  const { filename } = uploaded.parse(await answered(upload));
  const started = await fetch(`${url}/jars/${basename(filename)}/run`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ entryClass, parallelism: 2 }),
  });
  const { jobid } = submitted.parse(await answered(started));
  await until('a checkpoint is complete', async () => {
    const { counts } = checkpoints.parse(await get(`/jobs/${jobid}/checkpoints`));
    return counts.completed > 0;
  });
  await answered(await fetch(`${url}/jobs/${jobid}`, { method: 'PATCH' }));
  await until('the job is cancelled', async () => {
    return job.parse(await get(`/jobs/${jobid}`)).state === 'CANCELED';
  });
}

async function answered(response: Response): Promise<unknown> {
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}

/** An error of the condition means "not yet": Flink is only starting. */
async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  let last: unknown;
  while (performance.now() < deadline) {
    try {
      if (await condition()) return;
    } catch (error) {
      last = error;
    }
    await pause(everyMs);
  }
  throw new Error(`not within ${deadlineMs} ms: ${what}`, { cause: last });
}
