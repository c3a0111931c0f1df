import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sleep, stopAll } from './background.ts';
import { FlinkRest } from './flink.ts';
import { runFolder, type StackFacts } from './run-folder.ts';
import { flinkHomeOf, type StartedStack, startStack } from './start.ts';
import { StackRecords } from './watch-workers.ts';
import { countsIn, countsOf, differences, mostFrequent, textFile } from './words.ts';

const parallelism = 4;
const shown = 10;
const jobLimitMs = 120_000;
const pollMs = 100;
const endLimitMs = 60_000;

export interface DemoOptions {
  readonly version: string;
  readonly keep: boolean;
  /** Seconds that installing took. */
  readonly setupSeconds: number;
  readonly say: (line: string) => void;
}

/** What the job came to. */
interface Finished {
  readonly frameworkId: string;
  readonly taskManagers: number;
  readonly words: Readonly<Record<string, number>>;
  readonly firstTaskManager: number;
  readonly job: number;
}

/** Runs the whole demonstration; resolves to the JSON of its last line. @throws Error, with everything stopped. */
export async function demo(options: DemoOptions): Promise<string> {
  const { say } = options;
  const started = performance.now();
  try {
    const stack = await startStack(flinkHomeOf(options.version), say);
    const stackSeconds = secondsSince(started);
    const finished = await runJob(stack.facts, say);
    if (options.keep) sayWhere(stack.facts, say);
    else await end(stack, say);
    return JSON.stringify({
      job: 'FINISHED',
      taskManagers: finished.taskManagers,
      frameworkId: finished.frameworkId,
      words: finished.words,
      seconds: {
        setup: options.setupSeconds,
        stack: stackSeconds,
        firstTaskManager: finished.firstTaskManager,
        job: finished.job,
      },
    });
  } catch (error) {
    await stopAll(say);
    throw error;
  }
}

async function runJob(facts: StackFacts, say: (line: string) => void): Promise<Finished> {
  const records = await StackRecords.open(facts);
  try {
    records.follow(say);
    const rest = new FlinkRest(facts.rest);
    const output = join(runFolder, 'words');
    const started = performance.now();
    const options = { parallelism, input: textFile, output };
    const id = await rest.submitWordCount(facts.flinkHome, options);
    say(`job ${id} submitted: WordCount with parallelism ${parallelism} on 2-slot TaskManagers`);
    const seen = await waitForJob(rest, id, started, say);
    const job = secondsSince(started);
    const framework = await records.framework();
    const words = checkedWords(output, say);
    return { frameworkId: framework?.id ?? '', words, job, ...seen };
  } finally {
    await records.close();
  }
}

/** Follows the job to its end. @throws Error when it does not finish. */
async function waitForJob(
  rest: FlinkRest,
  id: string,
  started: number,
  say: (line: string) => void,
): Promise<{ readonly taskManagers: number; readonly firstTaskManager: number }> {
  const registered = new Set<string>();
  let firstTaskManager = 0;
  let last = '';
  for (;;) {
    for (const worker of await rest.taskManagers()) {
      if (registered.has(worker)) continue;
      registered.add(worker);
      if (registered.size === 1) firstTaskManager = secondsSince(started);
      say(`${worker} registered at the JobManager after ${secondsSince(started)} s`);
    }
    const { state, final } = await rest.jobState(id);
    if (state !== last) say(`job ${state} after ${secondsSince(started)} s`);
    last = state;
    if (state === 'FINISHED') return { taskManagers: registered.size, firstTaskManager };
    if (final) throw new Error(`the job ended ${state}: ${await rest.rootCause(id)}`);
    if (performance.now() - started > jobLimitMs) {
      throw new Error(
        `the job is still ${state} after ${jobLimitMs / 1000} s; see ${runFolder}/logs`,
      );
    }
    await sleep(pollMs);
  }
}

/** The most frequent words, held against a count made here. @throws Error when Flink counted otherwise. */
function checkedWords(
  output: string,
  say: (line: string) => void,
): Readonly<Record<string, number>> {
  const counts = countsIn(output);
  const wrong = differences(counts, countsOf(readFileSync(textFile, 'utf8')));
  if (wrong.length > 0) {
    throw new Error(`the job counted these words wrongly: ${wrong.slice(0, 10).join(', ')}`);
  }
  const frequent = mostFrequent(counts, shown);
  say(`${counts.size} different words; the most frequent:`);
  for (const [word, count] of frequent) say(`  ${String(count).padStart(4)}  ${word}`);
  return Object.fromEntries(frequent);
}

/** Ends the cluster through Flink, waits for the appmaster's own end, stops the rest. */
async function end(stack: StartedStack, say: (line: string) => void): Promise<void> {
  say('ending the cluster through Flink (DELETE /cluster)');
  await new FlinkRest(stack.facts.rest).shutDown();
  const late = sleep(endLimitMs).then(() => 'late' as const);
  const code = await Promise.race([stack.appmaster, late]);
  if (code === 'late') throw new Error(`the appmaster has not ended after ${endLimitMs / 1000} s`);
  if (code !== 0) throw new Error(`the appmaster ended with ${code}, not 0`);
  say('the framework is torn down, the appmaster has ended with 0');
  await stopAll(say);
}

/** Tells where everything of a stack is. */
export function sayWhere(facts: StackFacts, say: (line: string) => void): void {
  say(`Flink web UI  ${facts.rest}`);
  say(`Mesos master  http://${facts.master}`);
  say(
    `NATS          ${facts.nats}   (nats -s ${facts.nats} req drey.${facts.cluster}.ask.status '{}')`,
  );
  say('              (the nats command comes by deploy/install/nats.sh cli, to .drey/bin)');
  say(`ZooKeeper     ${facts.zookeeper}   (records below /drey/${facts.cluster})`);
  say(`logs          ${join(runFolder, 'logs')} and ${join(runFolder, 'appmaster/log')}`);
  say('end it with   deploy/local/down');
}

function secondsSince(started: number): number {
  return Math.round((performance.now() - started) / 100) / 10;
}
