import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from './until.ts';

/** How a process is started. */
export interface PartOptions {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  /** The log lies here, as `<name>.log`. */
  readonly dir: string;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** When it is up, judged by what it has written since it was started; default: at once. */
  readonly ready?: (log: string) => boolean;
  readonly readyMs?: number;
}

/** One real process of a test's world. */
export interface Part {
  readonly name: string;
  /** Of the process that runs now. */
  readonly pid: number;
  readonly running: boolean;
  /** Resolves to the exit code, or the name of the signal, of the process that runs now. */
  readonly ended: Promise<number | string>;
  readonly logFile: string;
  /** What it has written since it was last started. */
  log(): Promise<string>;
  /** Sends the signal; resolves when the process is gone (at once for SIGSTOP and SIGCONT). */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** SIGTERM, and SIGKILL where it does not end in time. */
  stop(graceMs?: number): Promise<void>;
  /** Starts it again, with the same arguments; resolves when it is ready. */
  restart(): Promise<void>;
}

const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));

/** Starts a process that cannot outlive this one; resolves when it is ready. */
export async function startPart(options: PartOptions): Promise<Part> {
  const part = new RunningPart(options);
  await part.restart();
  return part;
}

class RunningPart implements Part {
  readonly name: string;
  readonly logFile: string;
  readonly #options: PartOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<number | string> = Promise.resolve(0);
  #logStart = 0;

  constructor(options: PartOptions) {
    this.#options = options;
    this.name = options.name;
    this.logFile = join(options.dir, `${options.name}.log`);
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error(`${this.name} does not run`);
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  get ended(): Promise<number | string> {
    return this.#ended;
  }

  async log(): Promise<string> {
    const whole = await readFile(this.logFile);
    return whole.subarray(this.#logStart).toString('utf8');
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    if (this.#child === undefined) return;
    this.#child.kill(signal);
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await this.#ended;
  }

  async stop(graceMs = 15_000): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await this.#ended;
    clearTimeout(timer);
  }

  async restart(): Promise<void> {
    if (this.#child !== undefined) throw new Error(`${this.name} runs already`);
    const { name, file, args, cwd, env, ready, readyMs = 90_000 } = this.#options;
    const log = openSync(this.logFile, 'a');
    this.#logStart = (await readFile(this.logFile)).length;
    const guarded = setpriv === undefined ? [file] : [setpriv, '--pdeathsig', 'KILL', '--', file];
    const child = spawn(guarded[0] ?? file, [...guarded.slice(1), ...args], {
      cwd,
      env: env ?? process.env,
      stdio: ['ignore', log, log],
    });
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      const settle = (how: number | string): void => {
        if (this.#child === child) this.#child = undefined;
        resolve(how);
      };
      child.once('error', () => settle(127));
      child.once('exit', (code, signal) => settle(code ?? signal ?? 127));
    });
    if (ready === undefined) return;
    await until(async () => !this.running || ready(await this.log()), {
      deadlineMs: readyMs,
      what: `${name} is ready`,
    });
    if (!this.running) {
      throw new Error(
        `${name} ended with ${await this.#ended}:\n${lastLines(await this.log(), 20)}`,
      );
    }
  }
}

/** The line by which drey's own processes say that they are up. */
export function saysReady(log: string): boolean {
  return /^\{"ready":true/m.test(log);
}

/** The last lines of a log. */
export function lastLines(log: string, count: number): string {
  return log.trimEnd().split('\n').slice(-count).join('\n');
}
