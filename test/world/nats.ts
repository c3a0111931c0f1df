import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './ports.ts';
import { until } from './until.ts';

const run = promisify(execFile);
const installer = join(import.meta.dirname, '../../deploy/install/nats.sh');

/** `current`: the version that drey brings. `oldest`: 2.9.10, the one of Debian 12. */
export type NatsVersion = 'current' | 'oldest';

/** A real nats-server with JetStream on loopback. */
export interface NatsServer {
  readonly url: string;
  readonly port: number;
  /** Of the process that runs now. */
  readonly pid: number;
  /** What it has written to its log. */
  log(): Promise<string>;
  /** Ends it in order and removes its folder, unless the folder was given. */
  stop(): Promise<void>;
  /** SIGKILL; what it stored stays. */
  kill(): Promise<void>;
  /** Starts it again on the same port and folder (ends it first, in order, where it still runs). */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay open, nothing is answered. */
  freeze(): void;
  thaw(): void;
}

export interface NatsOptions {
  readonly dir?: string;
  readonly port?: number;
  readonly version?: NatsVersion;
  /** Further lines of the server's configuration file. */
  readonly configuration?: string;
}

/** Starts a nats-server and resolves once it takes clients. */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const binary = await natsBinary(options.version ?? 'current');
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'drey-nats-')));
  await mkdir(dir, { recursive: true });
  const port = options.port ?? (await freePort());
  const logFile = join(dir, 'nats.log');
  await writeFile(join(dir, 'nats.conf'), configurationOf(dir, port, options.configuration));
  const launch = () => launchServer(binary, dir, port, logFile);
  let child = await launch();
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    get pid() {
      return pidOf(child);
    },
    log: () => readFile(logFile, 'utf8'),
    stop: async () => {
      await end(child, 'SIGTERM');
      if (options.dir === undefined) await rm(dir, { recursive: true, force: true });
    },
    kill: () => end(child, 'SIGKILL'),
    restart: async () => {
      await end(child, 'SIGTERM');
      child = await launch();
    },
    freeze: () => {
      child.kill('SIGSTOP');
    },
    thaw: () => {
      child.kill('SIGCONT');
    },
  };
}

/** The path of the `nats` command; the first call on a machine builds it through Go. */
export async function natsCommand(): Promise<string> {
  return install('cli');
}

async function natsBinary(version: NatsVersion): Promise<string> {
  return install(version === 'oldest' ? 'oldest' : 'server');
}

async function install(part: string): Promise<string> {
  const { stdout } = await run(installer, [part], { maxBuffer: 10_000_000 });
  const path = stdout.trim().split('\n').at(-1) ?? '';
  if (!existsSync(path)) throw new Error(`${installer} ${part} brought nothing: "${stdout}"`);
  return path;
}

function configurationOf(dir: string, port: number, more = ''): string {
  return [
    `listen: "127.0.0.1:${port}"`,
    `server_name: "test-${port}"`,
    `jetstream { store_dir: "${dir}/jetstream", max_mem: 64MB, max_file: 1GB }`,
    more,
    '',
  ].join('\n');
}

async function launchServer(binary: string, dir: string, port: number, logFile: string) {
  const log = openSync(logFile, 'a');
  const command = [binary, '-c', join(dir, 'nats.conf')];
  // The server must not outlive a test process that is killed.
  const guarded = existsSync('/usr/bin/setpriv')
    ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL', ...command]
    : command;
  const child = spawn(guarded[0] ?? binary, guarded.slice(1), { stdio: ['ignore', log, log] });
  await until(
    async () => child.exitCode !== null || (await greeting(port)).includes('"jetstream":true'),
    { deadlineMs: 60_000, what: `nats-server serves on port ${port}` },
  );
  if (child.exitCode !== null) throw new Error(`nats-server ended: see ${logFile}`);
  return child;
}

/** The INFO line that a server sends to whoever connects. */
function greeting(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.setTimeout(1000, () => socket.destroy(new Error('no greeting')));
    socket.on('error', reject);
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString());
    });
  });
}

async function end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  // A frozen server hears SIGTERM only once it is thawed.
  child.kill('SIGCONT');
  await ended;
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error('nats-server was not started');
  return child.pid;
}
