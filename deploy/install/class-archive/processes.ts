import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const endMs = 120_000;
const late = Symbol('late');
const linesShown = 15;

/** A process that was started here. */
export interface Started {
  /** Ends it by SIGTERM; resolves when it is gone. @throws Error when it does not go. */
  end(): Promise<void>;
}

interface Place {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** The processes of one run; their logs lie in its folder. */
export class Processes {
  readonly #folder: string;
  readonly #children: ChildProcess[] = [];
  readonly #logs: string[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  start(name: string, file: string, args: readonly string[], place: Place = {}): Started {
    const log = join(this.#folder, `${name}.log`);
    const out = openSync(log, 'a');
    const child = spawn(file, args, { ...place, stdio: ['ignore', out, out] });
    this.#children.push(child);
    this.#logs.push(log);
    const ended = once(child, 'exit');
    return {
      end: async () => {
        child.kill('SIGTERM');
        const first = await Promise.race([ended, pause(endMs, late, { ref: false })]);
        if (first === late) throw new Error(`${name} does not end`);
      },
    };
  }

  /** The ends of all logs, where something went wrong. */
  lastWords(): string {
    return this.#logs.map((log) => `---- ${log}\n${lastLines(log)}`).join('\n');
  }

  async killAll(): Promise<void> {
    const living = this.#children.filter(
      ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
    );
    await Promise.all(
      living.map((child) => {
        const gone = once(child, 'exit');
        child.kill('SIGKILL');
        return gone;
      }),
    );
  }
}

function lastLines(log: string): string {
  return readFileSync(log, 'utf8').split('\n').slice(-linesShown).join('\n');
}
