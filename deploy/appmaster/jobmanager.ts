import type { ClusterOptions } from './cluster.ts';
import { type Ended, lastLinesOf } from './ended.ts';
import { jobManagerCommand, jobManagerLog } from './jobmanager-command.ts';
import { Part, settledMs } from './part.ts';
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
/** A standby may stay one for months. */
const askStandbyEveryMs = 5000;

/** Flink's JobManager on this machine: started at most once at a time, kept alive, told about. */
export class JobManager {
  readonly #options: JobManagerOptions;
  #part: Part | undefined;
  #stopped: Promise<void> | undefined;
  #wasReady = false;

  constructor(options: JobManagerOptions) {
    this.#options = options;
  }

  /**
   * Starts it, unless it runs or is still being stopped: then a later call does.
   * @throws Error when it cannot be started now; the next call tries again.
   */
  start(): void {
    const { stack, plan, effective, say } = this.#options;
    if (this.#part !== undefined || this.#stopped !== undefined || stack.stopping) return;
    const part = new Part({
      name: 'JobManager',
      log: `${jobManagerLog(plan, process.env)}.out`,
      say,
      command: () => jobManagerCommand(this.#options),
      onStart: (pid) => {
        say(`JobManager started, pid ${pid}, web UI ${effective.restUrl}`);
        void this.#sayWhenReady(part, pid);
      },
      onEnd: (ended) => this.#handleEnd(ended),
      mayRestart: this.#options.mayRestart,
    });
    stack.start(part, ranks.jobManager, graceMs);
    this.#part = part;
  }

  /** Stops it where another machine's runs; it may be started again later. */
  stop(): Promise<void> {
    const part = this.#part;
    this.#part = undefined;
    if (part !== undefined) {
      this.#stopped = part.stop(graceMs).finally(() => {
        this.#stopped = undefined;
      });
    }
    return this.#stopped ?? Promise.resolve();
  }

  async #sayWhenReady(part: Part, pid: number): Promise<void> {
    const { stack, effective, say } = this.#options;
    while (!stack.stopping && part.pid === pid) {
      const state = await restState(effective.localRestUrl);
      if (state !== 'away') this.#wasReady = true;
      if (state === 'ready') {
        say(`JobManager ready, web UI ${effective.restUrl}`);
        return;
      }
      const pauseMs = state === 'standby' ? askStandbyEveryMs : askEveryMs;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  #handleEnd(ended: Ended): 'again' | 'leave' {
    const { stack, plan } = this.#options;
    // One that lived so long could start, whether or not it was seen to answer.
    if (this.#wasReady || ended.livedMs > settledMs) return this.#options.onEnd(ended);
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
