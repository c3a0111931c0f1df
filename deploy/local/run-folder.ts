import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { startOf } from './mesos/agent/process-start.ts';

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

/** What every stack makes in its folder; by them a folder of ours is known. */
const folders = ['logs', 'pids', 'conf'];

/** Empties the folder: a stack begins without a past. @throws Error where the folder is not a stack's. */
export function makeRunFolder(): void {
  refuseForeignFolder();
  rmSync(runFolder, { recursive: true, force: true });
  for (const name of folders) mkdirSync(join(runFolder, name), { recursive: true });
}

/** @throws Error when the folder holds what no stack has made: it is left as it is. */
export function refuseForeignFolder(): void {
  const names = existsSync(runFolder) ? readdirSync(runFolder) : [];
  if (names.length === 0 || folders.every((name) => names.includes(name))) return;
  throw new Error(
    `${runFolder} is not empty and holds no local stack; name an empty or a new folder in DREY_LOCAL_RUN`,
  );
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
