import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Configuration, type Setting } from '#runtime/config/configuration.ts';
import { joinList } from '#runtime/config/values.ts';
import { driverKeys, jobManagerSettings } from './jobmanager-settings.ts';
import { anyAddress, isLoopback } from './network.ts';
import type { Plan } from './plan.ts';

/** Addresses that were found out or chosen at the start. */
export interface Addresses {
  readonly nats: string;
  readonly zookeeper: string;
  /** Where others reach this machine. */
  readonly advertised: string;
  /** Configuration keys of ports that were chosen. */
  readonly ports: ReadonlyMap<string, string>;
}

/** What the gateway, the JobManager and the TaskManagers read. */
export interface Effective {
  readonly settings: ReadonlyMap<string, string | readonly string[]>;
  /** The same, for whoever asks by type. */
  readonly configuration: Configuration;
  /** The directory that holds it as `config.yaml`. */
  readonly confDir: string;
  /** The same for the JobManager, without what only others need. */
  readonly jobManagerConfDir: string;
  /** Where people open the web UI. */
  readonly restUrl: string;
  /** Where the JobManager answers on this machine, whatever its address is for others. */
  readonly localRestUrl: string;
}

/** Keys that Flink's own file sets to localhost, which is of no use to TaskManagers on other machines. */
const reachable = ['jobmanager.rpc.address', 'rest.address'];
const bound = ['jobmanager.bind-host', 'rest.bind-address', 'taskmanager.bind-host'];

/** Set unless configured; measured: a restarted JobManager asks for no worker that lives. */
const recoveryTimeout = ['resourcemanager.previous-worker.recovery.timeout', '10 s'] as const;

/** 248 days in ms, the largest value that Flink takes: without it a job that lacks slots fails at once. */
const longestStartUp = '21474835000';

/** Log settings for a conf directory that has none. */
const stockConf = join(import.meta.dirname, '../install/flink-conf');

/** Files of the conf directory that are handed on as they are. */
const handedOn = /^(log4j.*\.properties|logback.*\.xml)$/;

/** Lays what drey adds over what was configured, and writes it for all to read. */
export function writeEffective(
  plan: Plan,
  configuration: Configuration,
  addresses: Addresses,
): Effective {
  const settings = configured(configuration, addresses.advertised);
  const unlessSet = (key: string, value: string): void => {
    if (!settings.has(key)) settings.set(key, value);
  };
  settings.set('drey.cluster', plan.cluster);
  settings.set('drey.nats.servers', addresses.nats);
  settings.set('drey.zookeeper.quorum', addresses.zookeeper);
  settings.set('drey.state.dir', plan.stateDir);
  settings.set('drey.flink.home', plan.flinkHome);
  for (const key of reachable) unlessSet(key, addresses.advertised);
  unlessSet(...recoveryTimeout);
  unlessSet('web.upload.dir', join(plan.stateDir, 'upload'));
  if (plan.demand === 'fixed') {
    unlessSet('resourcemanager.standalone.start-up-time', longestStartUp);
  }
  if (plan.flinkHa && !settings.has('high-availability.zookeeper.path.namespace')) {
    // Flink's own default is one subtree for all clusters of a ZooKeeper.
    unlessSet('high-availability.cluster-id', `/${plan.cluster}`);
  }
  if (plan.flinkHa) unlessSet('high-availability.zookeeper.quorum', addresses.zookeeper);
  for (const [key, port] of addresses.ports) settings.set(key, port);
  const confDir = join(plan.stateDir, 'conf');
  const jobManagerConfDir = join(plan.stateDir, 'jobmanager-conf');
  writeConfDir(confDir, plan.confDir, settings);
  const known = withEnvironment(settings, configuration, driverKeys);
  writeConfDir(jobManagerConfDir, plan.confDir, jobManagerSettings(known));
  return {
    settings,
    configuration: asConfiguration(settings),
    confDir,
    jobManagerConfDir,
    ...restUrls(settings),
  };
}

/** The settings, and these keys from the environment where it alone says them. */
function withEnvironment(
  settings: Settings,
  configuration: Configuration,
  keys: readonly string[],
): Settings {
  const told = keys.map((key) => configuration.setting(key)).filter((one) => one !== undefined);
  return new Map([...told.map(({ key, value }) => [key, value] as const), ...settings]);
}

function restUrls(settings: Settings): Pick<Effective, 'restUrl' | 'localRestUrl'> {
  const secure = settings.get('security.ssl.rest.enabled') ?? settings.get('security.ssl.enabled');
  const scheme = secure === 'true' ? 'https' : 'http';
  const url = (host: string, port: unknown): string =>
    `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const port = settings.get('rest.port');
  const bound = String(settings.get('rest.bind-address') ?? anyAddress);
  const local = { [anyAddress]: '127.0.0.1', '::': '::1' }[bound] ?? bound;
  return {
    restUrl: url(String(settings.get('rest.address')), port),
    localRestUrl: url(local, settings.get('rest.bind-port') ?? port),
  };
}

function asConfiguration(settings: Settings): Configuration {
  const origin = 'effective configuration';
  return new Configuration(
    [...settings].map(([key, value]) =>
      typeof value === 'string'
        ? { key, value, origin }
        : { key, value: joinList(value), origin, list: value },
    ),
    process.env,
  );
}

/** `localhost` from a file is Flink's default text, not a decision; given by `-D` it is one. */
function isStockLocalhost(setting: Setting, advertised: string): boolean {
  if (setting.value !== 'localhost' || setting.origin === '-D' || isLoopback(advertised)) {
    return false;
  }
  return [...reachable, ...bound, 'taskmanager.host'].includes(setting.key);
}

type Settings = Map<string, string | readonly string[]>;

/** What was configured, without the addresses that only Flink's own file sets. */
export function configured(configuration: Configuration, advertised: string): Settings {
  return new Map(
    configuration
      .entries()
      .filter((setting) => !isStockLocalhost(setting, advertised))
      .map((setting) => [setting.key, setting.list ?? setting.value]),
  );
}

function writeConfDir(
  target: string,
  source: string,
  settings: ReadonlyMap<string, string | readonly string[]>,
): void {
  mkdirSync(target, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(target)) rmSync(join(target, name), { recursive: true });
  // Flat keys, every value as JSON: valid YAML 1.2 whatever a value holds, and one key per line.
  const lines = [...settings]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`);
  const unfinished = join(target, '.config.yaml');
  writeFileSync(unfinished, lines.join(''), { mode: 0o600 });
  renameSync(unfinished, join(target, 'config.yaml'));
  for (const name of readdirSync(source).filter((name) => handedOn.test(name))) {
    copyFileSync(join(source, name), join(target, name));
  }
  for (const name of ['log4j.properties', 'log4j-console.properties']) {
    if (!existsSync(join(target, name))) {
      copyFileSync(join(stockConf, name), join(target, name));
    }
  }
}
