import { openAsBlob } from 'node:fs';
import { basename } from 'node:path';
import { z } from 'zod';
import { until } from '#test/world/until.ts';

/** What a test asks of Flink's REST interface. */
export interface FlinkRest {
  readonly url: string;
  /** Resolves when the JobManager leads and serves. */
  serving(): Promise<void>;
  /** Uploads the jar and runs the class; resolves to the job's id. */
  submit(jar: string, entryClass: string, parallelism: number): Promise<string>;
  /** Resolves when every task of the job runs. */
  running(jobId: string, deadlineMs?: number): Promise<void>;
  /** Resolves when the loss of a task has shown; what is asked before then still shows the old state. */
  stumbled(jobId: string): Promise<void>;
  jobState(jobId: string): Promise<string>;
  cancel(jobId: string): Promise<void>;
  /** Ids of the TaskManagers that are registered and show their slots. */
  taskManagers(): Promise<readonly string[]>;
  /** `DELETE /cluster`. */
  shutDown(): Promise<void>;
}

const job = z.object({
  state: z.string(),
  vertices: z.array(z.object({ status: z.string() })),
});
const taskManagers = z.object({
  taskmanagers: z.array(z.object({ id: z.string(), slotsNumber: z.int() })),
});

/** Speaks with the JobManager at this port of loopback. */
export function flinkRest(port: number): FlinkRest {
  const url = `http://127.0.0.1:${port}`;
  const call = (method: string, path: string, body?: unknown): Promise<unknown> =>
    answerOf(`${url}${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
  const details = async (jobId: string) => job.parse(await call('GET', `/jobs/${jobId}`));
  const allRun = async (jobId: string): Promise<boolean> => {
    const { state, vertices } = await details(jobId);
    const every = vertices.every(({ status }) => status === 'RUNNING');
    return state === 'RUNNING' && vertices.length > 0 && every;
  };
  const ids = async (): Promise<readonly string[]> => {
    const list = taskManagers.parse(await call('GET', '/taskmanagers')).taskmanagers;
    return list.filter((one) => one.slotsNumber > 0).map((one) => one.id);
  };
  return {
    url,
    serving: async () => {
      await until(() => call('GET', '/overview'), {
        deadlineMs: 180_000,
        what: 'the JobManager serves',
        everyMs: 50,
      });
    },
    submit: async (jar, entryClass, parallelism) => {
      const jarId = await upload(url, jar);
      const body = { entryClass, parallelism };
      const answer = await call('POST', `/jars/${jarId}/run`, body);
      return z.object({ jobid: z.string() }).parse(answer).jobid;
    },
    running: async (jobId, deadlineMs = 180_000) => {
      await until(() => allRun(jobId), { deadlineMs, what: `job ${jobId} runs`, everyMs: 50 });
    },
    stumbled: async (jobId) => {
      const what = `job ${jobId} has lost a task`;
      await until(async () => !(await allRun(jobId)), { deadlineMs: 60_000, what });
    },
    jobState: async (jobId) => (await details(jobId)).state,
    cancel: async (jobId) => void (await call('PATCH', `/jobs/${jobId}`)),
    taskManagers: ids,
    shutDown: async () => void (await call('DELETE', '/cluster')),
  };
}

async function upload(url: string, jar: string): Promise<string> {
  const form = new FormData();
  form.set('jarfile', await openAsBlob(jar), basename(jar));
  const answer = await answerOf(`${url}/jars/upload`, { method: 'POST', body: form });
  return basename(z.object({ filename: z.string() }).parse(answer).filename);
}

async function answerOf(url: string, init: RequestInit): Promise<unknown> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(10_000) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${init.method} ${url}: ${response.status} ${text}`);
  return JSON.parse(text);
}
