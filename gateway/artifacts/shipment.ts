import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Configuration } from '#runtime/config/configuration.ts';
import { ConfigurationError } from '#runtime/errors.ts';
import { type Artifact, archiveOf } from './archive.ts';
import { fileOf, filesBelow, type ShippedFile } from './tree.ts';

/** What of a Flink home goes to the agents, where it is there. */
const shippedFolders = ['bin', 'lib', 'plugins', 'usrlib', 'class-archive'] as const;
/** The JobManager runs where Flink's home is. */
const notShipped = 'class-archive/jobmanager.jsa';
/** The worker's entry is ours, whatever the distribution has under that name. */
const entryName = 'bin/mesos-taskmanager.sh';
const entryPath = join(import.meta.dirname, '../../deploy/bin/mesos-taskmanager.sh');
/** Files of the conf directory that are shipped as they are. */
const logSettings = /^(log4j.*\.properties|logback.*\.xml)$/;

export interface ShipmentOptions {
  readonly config: Configuration;
  readonly confDir?: string | undefined;
  readonly flinkHome?: string | undefined;
  readonly stateDir: string;
}

/** What TaskManagers are to find in their sandboxes, and the token in front of its URLs. */
export interface Shipment {
  readonly token: string;
  readonly artifacts: readonly Artifact[];
}

/** Packs Flink's home and the configuration. @throws ConfigurationError a directory is missing or cannot be written. */
export async function makeShipment(options: ShipmentOptions): Promise<Shipment> {
  const folder = join(options.stateDir, 'artifacts');
  try {
    mkdirSync(folder, { recursive: true });
    const token = tokenIn(folder);
    const conf = await archiveOf(writeConf(options, folder), 'conf.tar', folder);
    const home = options.flinkHome;
    if (home === undefined) return { token, artifacts: [conf] };
    const flink = await archiveOf(homeFiles(home), 'flink.tar', folder);
    return { token, artifacts: [flink, conf] };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === undefined || error instanceof ConfigurationError) throw error;
    throw new ConfigurationError(
      'drey.state.dir',
      `the artifacts cannot be written to ${folder} (${(error as Error).message}); name a directory that this user can write`,
      { cause: error },
    );
  }
}

/** Stable over restarts, so that the fetchers' caches stay good. */
function tokenIn(folder: string): string {
  const file = join(folder, 'token');
  if (existsSync(file)) {
    const token = readFileSync(file, 'utf8').trim();
    if (/^[0-9a-f]{32}$/.test(token)) return token;
  }
  const token = randomBytes(16).toString('hex');
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  return token;
}

function homeFiles(home: string): readonly ShippedFile[] {
  const lib = join(home, 'lib');
  const jars = existsSync(lib) ? readdirSync(lib).filter((name) => name.endsWith('.jar')) : [];
  if (jars.length === 0) {
    throw new ConfigurationError(
      'drey.flink.home',
      `there are no jars in ${lib}; name the directory of a Flink distribution (FLINK_HOME)`,
    );
  }
  const files = shippedFolders
    .map((name) => ({ name, path: join(home, name) }))
    .filter(({ path }) => existsSync(path))
    .flatMap(({ name, path }) => filesBelow(path, name))
    .filter(({ name }) => name !== entryName && name !== notShipped);
  if (!existsSync(entryPath)) return files;
  return [...files, { ...fileOf(entryPath, entryName), mode: 0o755 }];
}

/** Writes the TaskManagers' `config.yaml` and gathers the log settings beside it. */
function writeConf(options: ShipmentOptions, folder: string): readonly ShippedFile[] {
  const { confDir } = options;
  const path = join(folder, 'config.yaml');
  const text = taskManagerConfig(options.config);
  // An unchanged file keeps its time, and so its archive.
  if (!existsSync(path) || readFileSync(path, 'utf8') !== text) {
    writeFileSync(path, text, { mode: 0o600 });
  }
  const names = confDir === undefined ? [] : readdirSync(confDir);
  const logs = names.filter((name) => logSettings.test(name)).sort();
  return [
    // Passwords of file systems and stores may be in it.
    { ...fileOf(path, `conf/${basename(path)}`), mode: 0o600 },
    ...logs.map((name) => fileOf(join(confDir ?? '', name), `conf/${name}`)),
  ];
}

/** Everything that was configured, but nothing of drey, Mesos and containers: a TaskManager needs none of it, and secrets are in it. */
export function taskManagerConfig(config: Configuration): string {
  return config
    .entries()
    .filter(({ key }) => !/^(mesos|drey|containerized)\./.test(key))
    .map(({ key, value, list }) => `${JSON.stringify(key)}: ${JSON.stringify(list ?? value)}\n`)
    .join('');
}
