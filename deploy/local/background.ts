import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import {
  logOf,
  type PartName,
  partNames,
  pidOf,
  removePid,
  runFolder,
  writePid,
} from './run-folder.ts';

/** What a process in the background is started with. */
export interface BackgroundCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** How a process that we started has ended: its exit code, or the signal. */
export type ExitOf = Promise<number | string>;

const everyMs = 50;

/** Once everything is being stopped nothing may be started behind its back. */
let stopped: Promise<void> | undefined;

/** Starts a process that outlives this one, with its output in a log and its id in a file. */
export function startBackground(name: PartName, command: BackgroundCommand): ExitOf {
  if (stopped !== undefined) throw new Error(`${name} is not started: everything is being stopped`);
  const log = openSync(logOf(name), 'a');
  const child = spawn(command.file, command.args, {
    cwd: runFolder,
    detached: true,
    stdio: ['ignore', log, log],
    env: command.env ?? process.env,
  });
  closeSync(log);
  child.unref();
  if (child.pid !== undefined) writePid(name, child.pid);
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
}

/** Waits until the log of a part matches. @throws Error when the part ends first, or in time. */
export async function waitForLog(
  name: PartName,
  pattern: RegExp,
  limitMs: number,
): Promise<RegExpExecArray> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const alive = pidOf(name) !== undefined;
    const text = readFileSync(logOf(name), 'utf8');
    const match = pattern.exec(text);
    if (match !== null) return match;
    if (!alive) throw new Error(`${name} ended: ${lastLine(text)} (see ${logOf(name)})`);
    if (Date.now() > deadline) {
      throw new Error(
        `${name} is not ready after ${limitMs / 1000} s: ${lastLine(text)} (see ${logOf(name)})`,
      );
    }
    await sleep(everyMs);
  }
}

/**
 * Stops every part that runs, in order; whatever does not end in time is killed with its group.
 * However often it is called, this is done once.
 */
export function stopAll(say: (line: string) => void): Promise<void> {
  stopped ??= stopParts(say);
  return stopped;
}

async function stopParts(say: (line: string) => void): Promise<void> {
  for (const name of partNames) {
    const pid = pidOf(name);
    if (pid !== undefined) {
      await stopOne(name, pid, say);
      say(`${name} stopped`);
    }
    removePid(name);
  }
}

async function stopOne(name: PartName, pid: number, say: (line: string) => void): Promise<void> {
  const graceMs = name === 'appmaster' ? 90_000 : 10_000;
  signal(pid, 'SIGTERM');
  const deadline = Date.now() + graceMs;
  while (pidOf(name) !== undefined) {
    if (Date.now() > deadline) {
      say(`${name} did not stop within ${graceMs / 1000} s, killing it`);
      // Each part leads a process group of its own.
      signal(-pid, 'SIGKILL');
      return;
    }
    await sleep(everyMs);
  }
}

/** To a process, or (negative) to a group. One that has just ended is no error: others are to be stopped. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Waits for real time: what is waited for are other processes. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) || 'it said nothing';
}
