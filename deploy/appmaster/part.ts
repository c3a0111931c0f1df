import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type Clock, systemClock, type Timer } from '#runtime/clock.ts';
import { type Ended, endingOf, endOf, killGroup } from './ended.ts';
import { LogFile } from './log-file.ts';

/** How a process is started. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
}

/** Start it again and say so, start it again without a word (it ended in order), or let it be. */
export type AfterEnd = 'again' | 'quietly' | 'leave';

/** A process that the supervisor keeps alive. */
export interface PartOptions {
  readonly name: string;
  readonly log: string;
  /** Asked before each start, so that a restart may find other values. */
  readonly command: () => Command;
  /** Hears each line of standard output. */
  readonly onLine?: (line: string) => void;
  /** Hears of each end that was not asked for; answers what to do. */
  readonly onEnd: (ended: Ended) => AfterEnd;
  readonly onStart?: (pid: number) => void;
  /** Asked before a restart; while it says no, the pause goes on. */
  readonly mayRestart?: () => boolean;
  readonly say: (line: string) => void;
  readonly clock?: Clock;
}

const firstPauseMs = 1000;
const longestPauseMs = 30_000;
/** A process that lived this long has earned a quick restart. */
export const settledMs = 60_000;
const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));

/** Whether the kernel ends what was started here when this process dies; it takes setpriv of util-linux. */
export const endsWithUs = setpriv !== undefined;

/**
 * Starts one process in a group of its own, starts it again with growing pauses when it ends, and
 * stops it. The kernel ends it when this process dies, however that happens (`endsWithUs`).
 */
export class Part {
  readonly #options: PartOptions;
  readonly #clock: Clock;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #pauseMs = firstPauseMs;
  #retry: Timer | undefined;
  #stopping = false;

  constructor(options: PartOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  get name(): string {
    return this.#options.name;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  start(): void {
    if (this.#stopping || this.#child !== undefined) return;
    const { file, args, env, cwd } = this.#options.command();
    const log = new LogFile(this.#options.log, (why) =>
      this.#options.say(`what ${this.name} says is lost: ${why}`),
    );
    const guarded = setpriv === undefined ? [file] : [setpriv, '--pdeathsig', 'KILL', '--', file];
    const child = spawn(guarded[0] ?? file, [...guarded.slice(1), ...args], {
      env,
      cwd,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    const startedAt = this.#clock.elapsed();
    this.#listen(child, log);
    this.#ended = endOf(child).then((code) => {
      this.#child = undefined;
      log.close();
      if (!this.#stopping) this.#handleEnd(code, this.#clock.elapsed() - startedAt);
    });
    if (child.pid !== undefined) this.#options.onStart?.(child.pid);
  }

  /** SIGTERM, SIGKILL after `graceMs`; resolves when the process and what it started are gone. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    this.#retry?.cancel();
    const child = this.#child;
    if (child === undefined) return;
    child.kill('SIGTERM');
    const timer = this.#clock.after(graceMs, () => {
      this.#options.say(`${this.name} did not end within ${graceMs / 1000} s, killing it`);
      killGroup(child);
    });
    await this.#ended;
    timer.cancel();
    killGroup(child);
    this.#options.say(`${this.name} stopped`);
  }

  #listen(child: ChildProcess, log: LogFile): void {
    let rest = '';
    child.stderr?.setEncoding('utf8');
    child.stderr?.on('data', (text: string) => log.write(text));
    child.stdout?.setEncoding('utf8');
    child.stdout?.on('data', (text: string) => {
      log.write(text);
      const lines = (rest + text).split('\n');
      // A line without end is cut, so that it cannot grow without limit.
      rest = (lines.pop() ?? '').slice(-65_536);
      for (const line of lines) this.#options.onLine?.(line);
    });
  }

  #handleEnd(code: number | NodeJS.Signals, livedMs: number): void {
    const ended = endingOf(code, livedMs, this.#options.log);
    const then = this.#options.onEnd(ended);
    if (then === 'leave') return;
    if (livedMs > settledMs) this.#pauseMs = firstPauseMs;
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(longestPauseMs, pauseMs * 2);
    if (then === 'again') {
      this.#options.say(`${this.name} ${ended.how}, starting it again in ${pauseMs / 1000} s`);
    }
    this.#restartAfter(pauseMs);
  }

  #restartAfter(pauseMs: number): void {
    this.#retry = this.#clock.after(pauseMs, () => {
      if (this.#options.mayRestart?.() ?? true) this.#startAgain();
      else this.#restartAfter(firstPauseMs);
    });
  }

  /** What was there at the first start may be gone by now; it may come back. */
  #startAgain(): void {
    try {
      this.start();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.say(`${this.name} cannot be started again, trying on: ${why}`);
      this.#restartAfter(longestPauseMs);
    }
  }
}
