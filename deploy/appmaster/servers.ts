import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { delimiter, join, resolve } from 'node:path';
import { ConfigurationError } from '#runtime/errors.ts';
import type { Java } from './java.ts';
import { freePort, isFree } from './network.ts';
import type { Command } from './part.ts';

const loopback = '127.0.0.1';
const root = resolve(import.meta.dirname, '../..');

/** A server of our own: how it is started, and how to tell that it serves. */
export interface OwnServer {
  readonly port: number;
  readonly command: Command;
  /** Resolves to whether it serves now. */
  serves(): Promise<boolean>;
}

/** A nats-server with JetStream on loopback. @throws ConfigurationError */
export async function ownNats(stateDir: string, port: number | undefined): Promise<OwnServer> {
  const binary = await natsBinary();
  const folder = folderOf(stateDir, 'nats');
  const chosen = await choosePort('drey.appmaster.nats.port', folder, port);
  const file = join(folder, 'nats.conf');
  const lines = [
    `listen: "${loopback}:${chosen}"`,
    'server_name: "drey"',
    `jetstream { store_dir: ${JSON.stringify(join(folder, 'jetstream'))}, max_mem: 64MB, max_file: 4GB }`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  return {
    port: chosen,
    command: { file: binary, args: ['-c', file], env: process.env, cwd: folder },
    serves: async () => (await ask(chosen, undefined)).includes('"jetstream":true'),
  };
}

/** A single ZooKeeper on loopback. @throws ConfigurationError */
export async function ownZooKeeper(
  stateDir: string,
  port: number | undefined,
  java: Java,
): Promise<OwnServer> {
  const jars = zookeeperJars();
  const folder = folderOf(stateDir, 'zookeeper');
  const chosen = await choosePort('drey.appmaster.zookeeper.port', folder, port);
  const file = join(folder, 'zoo.cfg');
  const lines = [
    'tickTime=500',
    `dataDir=${join(folder, 'data')}`,
    `clientPort=${chosen}`,
    `clientPortAddress=${loopback}`,
    'admin.enableServer=false',
    'minSessionTimeout=1000',
    'maxSessionTimeout=120000',
    'maxClientCnxns=0',
    '4lw.commands.whitelist=ruok,srvr',
    'autopurge.purgeInterval=1',
    'autopurge.snapRetainCount=3',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain';
  const flags = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
  const args = [...flags, '-cp', jars.join(delimiter), main, file];
  return {
    port: chosen,
    command: { file: java.path, args, env: process.env, cwd: folder },
    serves: async () => (await ask(chosen, 'srvr')).includes('Mode: '),
  };
}

function folderOf(stateDir: string, name: string): string {
  const folder = join(stateDir, name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** The configured port, else the one of the last start, else any free one. */
async function choosePort(
  key: string,
  folder: string,
  configured: number | undefined,
): Promise<number> {
  if (configured !== undefined) {
    if (await isFree(configured, loopback)) return configured;
    throw new ConfigurationError(key, `port ${configured} is in use; set ${key} to another`);
  }
  const memory = join(folder, 'port');
  const last = existsSync(memory) ? Number(readFileSync(memory, 'utf8')) || 0 : 0;
  const port = await freePort(loopback, last);
  writeFileSync(memory, `${port}\n`);
  return port;
}

/** DREY_NATS_SERVER, what deploy/install/nats.sh brought, PATH. @throws ConfigurationError */
async function natsBinary(): Promise<string> {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const named = process.env.DREY_NATS_SERVER;
  if (named) {
    if (await runs(named)) return named;
    const why = `${named} does not run; name a nats-server or unset it`;
    throw new ConfigurationError('DREY_NATS_SERVER', why);
  }
  const candidates = [
    join(root, '.drey/bin/nats-server'),
    ...folders.map((folder) => join(folder, 'nats-server')),
  ];
  for (const candidate of candidates) {
    if (existsSync(candidate) && (await runs(candidate))) return candidate;
  }
  throw new ConfigurationError(
    'drey.nats.servers',
    'is not set and no nats-server was found here; set it, or run deploy/install/nats.sh',
  );
}

function runs(binary: string): Promise<boolean> {
  return new Promise((done) => {
    execFile(binary, ['--version'], { timeout: 10_000 }, (error) => done(error === null));
  });
}

/** DREY_ZOOKEEPER_HOME, else what deploy/install/zookeeper.sh brought. @throws ConfigurationError */
function zookeeperJars(): readonly string[] {
  const named = process.env.DREY_ZOOKEEPER_HOME;
  if (named) {
    const jars = jarsIn(named);
    if (jars.length > 0) return jars;
    const why = `there are no jars in ${named}; name a ZooKeeper's lib or unset it`;
    throw new ConfigurationError('DREY_ZOOKEEPER_HOME', why);
  }
  const brought = join(root, '.drey');
  // Names of three numbers only: a ZooKeeper that is being installed has one more part.
  const homes = namesIn(brought).filter((name) => /^zookeeper-\d+\.\d+\.\d+$/.test(name));
  const jars = homes.map((name) => jarsIn(join(brought, name))).find((found) => found.length > 0);
  if (jars !== undefined) return jars;
  throw new ConfigurationError(
    'drey.zookeeper.quorum',
    'is not set and no ZooKeeper was found here; set it, or run deploy/install/zookeeper.sh',
  );
}

function jarsIn(folder: string): readonly string[] {
  const names = namesIn(folder).filter((name) => name.endsWith('.jar'));
  return names.map((name) => join(folder, name));
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** What a server says after `question`, or by itself; empty while nobody listens. */
function ask(port: number, question: string | undefined): Promise<string> {
  return new Promise((done) => {
    const socket = createConnection({ host: loopback, port });
    let text = '';
    const finish = (): void => {
      socket.destroy();
      done(text);
    };
    socket.setEncoding('utf8');
    socket.setTimeout(2000, finish);
    socket.once('error', finish);
    socket.once('end', finish);
    socket.on('data', (chunk: string) => {
      text += chunk;
      // nats-server greets and then waits for the client.
      if (question === undefined) finish();
    });
    if (question !== undefined) socket.write(question);
  });
}
