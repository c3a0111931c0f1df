import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The repository. */
export const root = resolve(import.meta.dirname, '../..');

/** Where the stack keeps what it runs on; DREY_LOCAL_RUN moves it, so that several may run. */
export const runFolder = resolve(process.env.DREY_LOCAL_RUN ?? join(root, '.drey/run'));

/** Addresses of a running stack, as `stack.json` keeps them. */
export interface StackFacts {
  readonly flinkHome: string;
  readonly cluster: string;
  readonly zookeeper: string;
  readonly nats: string;
  readonly master: string;
  readonly rest: string;
}

/** A process in the background: its id, and when the kernel started it, so that a reused id is not ours. */
interface PidFile {
  readonly pid: number;
  readonly startedAt: string;
}

/** In the order in which they are stopped. */
export const partNames = [
  'appmaster',
  'mesos-agent-1',
  'mesos-agent-2',
  'mesos-master',
  'nats-server',
  'zookeeper',
] as const;
export type PartName = (typeof partNames)[number];

const stackFile = join(runFolder, 'stack.json');

export function logOf(name: PartName): string {
  return join(runFolder, 'logs', `${name}.log`);
}

/** Empties the folder: a stack begins without a past. */
export function makeRunFolder(): void {
  rmSync(runFolder, { recursive: true, force: true });
  for (const name of ['logs', 'pids', 'conf']) {
    mkdirSync(join(runFolder, name), { recursive: true });
  }
}

export function writeFacts(facts: StackFacts): void {
  writeFileSync(stackFile, `${JSON.stringify(facts, undefined, 2)}\n`);
}

export function readFacts(): StackFacts | undefined {
  return existsSync(stackFile)
    ? (JSON.parse(readFileSync(stackFile, 'utf8')) as StackFacts)
    : undefined;
}

export function writePid(name: PartName, pid: number): void {
  const file: PidFile = { pid, startedAt: startOf(pid) ?? '' };
  writeFileSync(pidFile(name), JSON.stringify(file));
}

/** The process of a part, while it is the one that was started. */
export function pidOf(name: PartName): number | undefined {
  if (!existsSync(pidFile(name))) return undefined;
  const { pid, startedAt } = JSON.parse(readFileSync(pidFile(name), 'utf8')) as PidFile;
  return startOf(pid) === startedAt ? pid : undefined;
}

export function removePid(name: PartName): void {
  rmSync(pidFile(name), { force: true });
}

function pidFile(name: PartName): string {
  return join(runFolder, 'pids', `${name}.pid`);
}

/** The kernel's start time of a process (field 22 of /proc/<pid>/stat); none for one that has ended. */
function startOf(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    // There is no such process.
    return undefined;
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}
