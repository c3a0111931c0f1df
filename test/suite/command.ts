import { type ChildProcess, spawn } from 'node:child_process';

/** How a command ended. */
export interface Ended {
  readonly code: number | null;
  readonly timedOut: boolean;
  /** What it printed, when it was not shown at once. */
  readonly output: string;
  readonly seconds: number;
}

export interface CommandOptions {
  readonly timeoutMs: number;
  readonly env: NodeJS.ProcessEnv;
  /** Show the output as it comes; otherwise it is handed back at the end. */
  readonly live: boolean;
}

const running = new Set<ChildProcess>();

/** Runs a command in a process group of its own, so that a hung one can be ended with all that it started. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<Ended> {
  const started = performance.now();
  const child = spawn(command, args, {
    detached: true,
    env: options.env,
    stdio: options.live ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk));
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child);
  }, options.timeoutMs);
  return new Promise((resolve) => {
    const finish = (code: number | null, note: string): void => {
      clearTimeout(timer);
      running.delete(child);
      const output = Buffer.concat(chunks).toString('utf8') + note;
      resolve({ code, timedOut, output, seconds: (performance.now() - started) / 1000 });
    };
    child.once('error', (error) => finish(null, `${command}: ${error.message}\n`));
    // Not 'close': a process left behind that holds the pipe must not keep the suite waiting.
    child.once('exit', (code) => setTimeout(() => finish(code, ''), 50));
  });
}

/** Ends every command that still runs, with all of its process group. */
export function endCommands(): void {
  for (const child of running) killGroup(child);
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
