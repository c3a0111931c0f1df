import type { ChildProcess } from 'node:child_process';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** How a process ended. */
export interface Ended {
  /** Undefined where a signal ended it. */
  readonly code: number | undefined;
  /** `ended with code 1`, `was ended by SIGKILL`. */
  readonly how: string;
  readonly livedMs: number;
  /** The last lines of its log. */
  readonly lastLines: readonly string[];
}

/** How long output may still come after the end of a process. */
const outputMs = 1000;

/**
 * Resolves with the exit code or the signal once the process has ended, or could not be started.
 * What it left running in its group is killed; a process beyond that may hold its output for ever.
 */
export function endOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    child.once('error', () => resolve(127));
    child.once('exit', () => {
      killGroup(child);
      timer = setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
      }, outputMs);
    });
    // 'close' comes after the last line of output was read.
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve(code ?? signal ?? 127);
    });
  });
}

export function endingOf(code: number | NodeJS.Signals, livedMs: number, log: string): Ended {
  const number = typeof code === 'number' ? code : undefined;
  const how = number === undefined ? `was ended by ${code}` : `ended with code ${number}`;
  return { code: number, how, livedMs, lastLines: lastLinesOf(log, 20) };
}

/** SIGKILL for a process and everything in its group; one that is gone is no error. */
export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The last lines of a file, without empty ones; none where it cannot be opened (it was moved or removed). */
export function lastLinesOf(file: string, count: number): readonly string[] {
  const descriptor = opened(file);
  if (descriptor === undefined) return [];
  try {
    const { size } = fstatSync(descriptor);
    const bytes = Buffer.alloc(Math.min(size, 8192));
    readSync(descriptor, bytes, 0, bytes.length, size - bytes.length);
    const lines = bytes.toString('utf8').split('\n');
    return lines.filter((line) => line.trim() !== '').slice(-count);
  } finally {
    closeSync(descriptor);
  }
}

function opened(file: string): number | undefined {
  try {
    return openSync(file, 'r');
  } catch {
    return undefined;
  }
}
