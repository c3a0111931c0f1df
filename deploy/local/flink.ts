import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';

const uploaded = z.object({ filename: z.string() });
const submitted = z.object({ jobid: z.string() });
const job = z.object({ state: z.string() });
const taskManagers = z.object({ taskmanagers: z.array(z.object({ id: z.string() })) });

/** A job's states after which nothing more happens. */
const finalStates = ['FINISHED', 'FAILED', 'CANCELED'];

/** Flink's REST API, as far as the demo needs it. */
export class FlinkRest {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Uploads the jar with the examples and runs WordCount. Resolves to the job's id. */
  async submitWordCount(
    flinkHome: string,
    options: { readonly parallelism: number; readonly input: string; readonly output: string },
  ): Promise<string> {
    const examples = join(flinkHome, 'examples');
    const jar = readdirSync(examples).find((name) => name.startsWith('flink-examples-streaming'));
    if (jar === undefined) throw new Error(`there is no flink-examples-streaming in ${examples}`);
    const form = new FormData();
    form.append('jarfile', new Blob([readFileSync(join(examples, jar))]), jar);
    const upload = uploaded.parse(await this.#ask('/jars/upload', { method: 'POST', body: form }));
    const answer = await this.#ask(`/jars/${basename(upload.filename)}/run`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        entryClass: 'org.apache.flink.streaming.examples.wordcount.WordCount',
        programArgsList: ['--input', options.input, '--output', options.output],
        parallelism: options.parallelism,
      }),
    });
    return submitted.parse(answer).jobid;
  }

  async jobState(id: string): Promise<{ readonly state: string; readonly final: boolean }> {
    const { state } = job.parse(await this.#ask(`/jobs/${id}`, {}));
    return { state, final: finalStates.includes(state) };
  }

  /** Ids of the TaskManagers that are registered now. */
  async taskManagers(): Promise<readonly string[]> {
    const answer = taskManagers.parse(await this.#ask('/taskmanagers', {}));
    return answer.taskmanagers.map(({ id }) => id);
  }

  /** Why a job failed, in one line. */
  async rootCause(id: string): Promise<string> {
    const schema = z.looseObject({
      exceptionHistory: z.looseObject({
        entries: z.array(z.looseObject({ stacktrace: z.string() })),
      }),
    });
    const answer = schema.safeParse(await this.#ask(`/jobs/${id}/exceptions`, {}));
    const trace = answer.data?.exceptionHistory.entries[0]?.stacktrace ?? '';
    return trace.split('\n', 1)[0] || 'Flink gives no cause';
  }

  /** Ends the cluster: Flink deregisters, drey tears the framework down. */
  async shutDown(): Promise<void> {
    await this.#ask('/cluster', { method: 'DELETE' });
  }

  async #ask(path: string, request: RequestInit): Promise<unknown> {
    const answer = await fetch(this.#url + path, {
      ...request,
      signal: AbortSignal.timeout(30_000),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`Flink answered ${answer.status} on ${path}: ${text}`);
    return JSON.parse(text);
  }
}
