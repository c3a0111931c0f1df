import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '#test/world/until.ts';

const main = join(import.meta.dirname, '../../deploy/local/mesos/main.ts');

export interface Process {
  readonly pid: number;
  /** The facts of its ready line. */
  readonly facts: Readonly<Record<string, unknown>>;
  readonly log: () => string;
  kill(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
}

/** A local Mesos of real processes for one test, in a folder of its own. */
export interface Stage {
  readonly dir: string;
  readonly address: string;
  readonly master: Process;
  /** Kills the master without a word and starts another on the same port. */
  restartMaster(...args: readonly string[]): Promise<void>;
  startAgent(name: string, ...args: readonly string[]): Promise<Process>;
  get(path: string): Promise<unknown>;
}

/** Starts a master, runs the body, and ends everything that was started, by pid. */
export async function onStage(
  masterArgs: readonly string[],
  body: (stage: Stage) => Promise<void>,
): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'drey-mesos-'));
  const processes: Process[] = [];
  const start = async (name: string, args: readonly string[]): Promise<Process> => {
    const process = await startProcess(dir, name, args);
    processes.push(process);
    return process;
  };
  try {
    let master = await start('master', ['master', '--port=0', ...masterArgs]);
    const port = Number(master.facts.port);
    const address = `127.0.0.1:${port}`;
    await body({
      dir,
      address,
      get master() {
        return master;
      },
      restartMaster: async (...args) => {
        await master.kill('SIGKILL');
        master = await start('master', ['master', `--port=${port}`, ...masterArgs, ...args]);
      },
      startAgent: (name, ...args) => {
        const more = args.some((arg) => arg.startsWith('--resources'))
          ? []
          : [`--resources=${agentResources}`];
        return start(name, [
          'agent',
          `--master=${address}`,
          `--work-dir=${join(dir, name)}`,
          ...more,
          ...args,
        ]);
      },
      get: async (path) => {
        const response = await fetch(`http://${address}${path}`, {
          signal: AbortSignal.timeout(5000),
        });
        return response.json();
      },
    });
  } catch (error) {
    for (const { log } of processes) console.error(log().split('\n').slice(-20).join('\n'));
    throw error;
  } finally {
    // Agents end their tasks; the newest process goes first.
    for (const process of processes.reverse()) await process.kill('SIGTERM');
    await rm(dir, { recursive: true, force: true });
  }
}

const agentResources = 'cpus:4;mem:4096;disk:10240;ports:[31000-31999]';

/** Starts a master or an agent; resolves when it says that it is ready. */
export async function startProcess(
  dir: string,
  name: string,
  args: readonly string[],
): Promise<Process> {
  const file = join(dir, `${name}.${Date.now()}.log`);
  const log = openSync(file, 'w');
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', log, log] });
  closeSync(log);
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.on('exit', (code, signal) => resolve(code ?? signal));
  });
  const read = (): string => readFileSync(file, 'utf8');
  const ready = await until(() => readyLine(read()) ?? (child.exitCode !== null && 'ended'), {
    deadlineMs: 15_000,
    what: `${name} is ready`,
  });
  if (ready === 'ended') throw new Error(`${name} ended: ${read()}`);
  return {
    pid: child.pid ?? 0,
    facts: JSON.parse(ready) as Readonly<Record<string, unknown>>,
    log: read,
    kill: (signal = 'SIGTERM') => stop(child, signal, ended),
  };
}

function readyLine(log: string): string | undefined {
  return log.split('\n').find((line) => line.startsWith('{"ready":true') && line.endsWith('}'));
}

function stop(
  child: ChildProcess,
  signal: NodeJS.Signals,
  ended: Promise<number | NodeJS.Signals | null>,
): Promise<number | NodeJS.Signals | null> {
  if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  return ended;
}
