import { spawn } from 'node:child_process';
import { chownSync, closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutorProcess } from '../core/agent-state.ts';
import { startOf } from './process-start.ts';

const script = fileURLToPath(new URL('executor.sh', import.meta.url));
const adoptedPollMs = 200;
const signalPauseMs = 20;
const signalTries = 100;

/** A user of this machine that a task runs as. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** How a task's process ended: as its executor noted, or without a word. */
export type End =
  | { readonly event: 'exited'; readonly code: number }
  | { readonly event: 'signalled'; readonly signal: number }
  | { readonly event: 'vanished' };

/** What is to run, and where. */
export interface Launch {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly sandbox: string;
  /** Where the executor notes how the task does. */
  readonly meta: string;
  readonly user: User | undefined;
}

/** Starts an executor with its task; `ended` is called once. */
export function startExecutor(launch: Launch, ended: (end: End) => void): ExecutorProcess {
  const { sandbox, meta, user } = launch;
  mkdirSync(meta, { recursive: true });
  if (user !== undefined) chownSync(meta, user.uid, user.gid);
  const stdout = openSync(join(sandbox, 'stdout'), 'a');
  const stderr = openSync(join(sandbox, 'stderr'), 'a');
  try {
    const child = spawn('/bin/sh', [script, meta, setsidPath(), ...launch.argv], {
      cwd: sandbox,
      env: launch.environment,
      stdio: ['ignore', stdout, stderr],
      detached: true,
      ...(user ?? {}),
    });
    if (child.pid === undefined) throw new Error('no process could be made for the executor');
    const { pid } = child;
    child.on('error', () => ended({ event: 'vanished' }));
    child.on('exit', () => ended(endOf(meta)));
    return { pid, startedAt: startOf(pid) ?? 'unknown' };
  } finally {
    closeSync(stdout);
    closeSync(stderr);
  }
}

/** The executor that notes in `meta` tell of, if there was one. */
export function executorIn(meta: string): ExecutorProcess | undefined {
  const pid = numberIn(join(meta, 'executor'));
  return pid === undefined ? undefined : { pid, startedAt: startOf(pid) ?? 'gone' };
}

/** Watches an executor that an earlier agent process started; it may be gone already. */
export function adoptExecutor(
  executor: ExecutorProcess,
  meta: string,
  ended: (end: End) => void,
): void {
  const timer = setInterval(() => {
    if (startOf(executor.pid) === executor.startedAt) return;
    clearInterval(timer);
    ended(endOf(meta));
  }, adoptedPollMs);
}

/** Signals the whole process group of the task. Nothing happens when it is gone. */
export function signalTask(meta: string, signal: NodeJS.Signals): void {
  const pid = numberIn(join(meta, 'task'));
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The same for a task that may have been started only just now: its executor names it first. */
export function signalTaskSoon(meta: string, signal: NodeJS.Signals, tries = signalTries): void {
  if (existsSync(join(meta, 'task')) || tries === 0) signalTask(meta, signal);
  else setTimeout(() => signalTaskSoon(meta, signal, tries - 1), signalPauseMs);
}

function endOf(meta: string): End {
  const status = numberIn(join(meta, 'exit'));
  if (status === undefined) {
    // The executor died before its task: what is left of the task goes too.
    signalTask(meta, 'SIGKILL');
    return { event: 'vanished' };
  }
  // Children that the task left behind end with it, as its container would.
  signalTask(meta, 'SIGKILL');
  // A shell reports death by a signal as 128 and its number.
  return status > 128 && status <= 128 + 64
    ? { event: 'signalled', signal: status - 128 }
    : { event: 'exited', code: status };
}

/** A number and a newline; less is a file that is still being written. */
function numberIn(path: string): number | undefined {
  if (!existsSync(path)) return undefined;
  const match = /^(\d+)\n/.exec(readFileSync(path, 'utf8'));
  return match === null ? undefined : Number(match[1]);
}

let foundSetsid: string | undefined;

/** Tasks have a PATH of their own, so the tool is looked up in the agent's. */
function setsidPath(): string {
  foundSetsid ??= find('setsid');
  return foundSetsid;
}

function find(tool: string): string {
  const directories = (process.env.PATH ?? '/usr/bin:/bin').split(delimiter);
  const path = directories.map((directory) => join(directory, tool)).find(existsSync);
  if (path === undefined) throw new Error(`${tool} is not installed (package util-linux)`);
  return path;
}
