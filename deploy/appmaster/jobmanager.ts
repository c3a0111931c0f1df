import type { ClusterOptions } from './cluster.ts';
import { type Ended, lastLinesOf } from './ended.ts';
import { jobManagerCommand, jobManagerLog } from './jobmanager-command.ts';
import { Part } from './part.ts';
import { restState } from './rest.ts';
import { ranks } from './stack.ts';

export interface JobManagerOptions extends ClusterOptions {
  /** Hears of each end that was not asked for, once it had been up. */
  readonly onEnd: (ended: Ended) => 'again' | 'leave';
  readonly mayRestart: () => boolean;
}

/** Running jobs are given time to reach their next state; what they need is stored already. */
const graceMs = 20_000;
const askEveryMs = 250;

/** Flink's JobManager on this machine: started at most once at a time, kept alive, told about. */
export class JobManager {
  readonly #options: JobManagerOptions;
  #part: Part | undefined;
  #wasReady = false;

  constructor(options: JobManagerOptions) {
    this.#options = options;
  }

  /** Starts it, unless it was started already. */
  start(): void {
    const { stack, plan, effective, say } = this.#options;
    if (this.#part !== undefined || stack.stopping) return;
    this.#part = new Part({
      name: 'JobManager',
      log: `${jobManagerLog(plan, process.env)}.out`,
      say,
      command: () => jobManagerCommand(this.#options),
      onStart: (pid) => {
        say(`JobManager started, pid ${pid}, web UI ${effective.restUrl}`);
        void this.#sayWhenReady(pid);
      },
      onEnd: (ended) => this.#handleEnd(ended),
      mayRestart: this.#options.mayRestart,
    });
    stack.start(this.#part, ranks.jobManager, graceMs);
  }

  /** Stops it where another machine's runs; it may be started again later. */
  async stop(): Promise<void> {
    const part = this.#part;
    this.#part = undefined;
    await part?.stop(graceMs);
  }

  async #sayWhenReady(pid: number): Promise<void> {
    const { stack, effective, say } = this.#options;
    let standby = false;
    while (!stack.stopping && this.#part?.pid === pid) {
      const state = await restState(effective.restUrl);
      if (state === 'ready') {
        this.#wasReady = true;
        say(`JobManager ready, web UI ${effective.restUrl}`);
        return;
      }
      if (state === 'standby' && !standby) {
        standby = true;
        this.#wasReady = true;
      }
      await new Promise((resolve) => setTimeout(resolve, askEveryMs));
    }
  }

  #handleEnd(ended: Ended): 'again' | 'leave' {
    const { stack, plan } = this.#options;
    if (this.#wasReady) return this.#options.onEnd(ended);
    const log = `${jobManagerLog(plan, process.env)}.log`;
    const why = `the JobManager cannot start: it ${ended.how}: ${firstCause(ended, log)} (see ${log})`;
    stack.finish({ code: 1, why });
    return 'leave';
  }
}

/** What Java said on standard error, else the innermost cause in Flink's log. */
function firstCause(ended: Ended, log: string): string {
  const said = ended.lastLines.find((line) => /error|exception|cannot/i.test(line));
  if (said !== undefined) return said.trim();
  let lines: readonly string[] = [];
  try {
    lines = lastLinesOf(log, 200);
  } catch {
    // It ended before it had a log.
  }
  const cause = lines.findLast((line) => line.startsWith('Caused by: '));
  return cause ?? lines.findLast((line) => / ERROR /.test(line)) ?? 'it said nothing';
}
