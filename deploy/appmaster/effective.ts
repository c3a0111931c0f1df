import { copyFileSync, existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Configuration, Setting } from '#runtime/config/configuration.ts';
import { ConfigurationError } from '#runtime/errors.ts';
import { freePort, isFree, isLoopback } from './network.ts';
import type { Plan } from './plan.ts';

/** Addresses that were found out or chosen at the start. */
export interface Addresses {
  readonly nats: string;
  readonly zookeeper: string;
  /** Where others reach this machine. */
  readonly advertised: string;
}

/** What the gateway, the JobManager and the TaskManagers read. */
export interface Effective {
  readonly settings: ReadonlyMap<string, string | readonly string[]>;
  /** The directory that holds it as `config.yaml`. */
  readonly confDir: string;
  readonly restUrl: string;
}

/** Keys that Flink's own file sets to localhost, which is of no use to TaskManagers on other machines. */
const reachable = ['jobmanager.rpc.address', 'rest.address'];
const bound = ['jobmanager.bind-host', 'rest.bind-address', 'taskmanager.bind-host'];

/** Set unless configured; measured: one killed worker gives exactly one request, and a restarted JobManager asks for none that lives. */
const defaults: readonly (readonly [string, string])[] = [
  ['slotmanager.declare-needed-resource.delay', '1500 ms'],
  ['resourcemanager.previous-worker.recovery.timeout', '10 s'],
];

/** 248 days in ms, the largest value that Flink takes: without it a job that lacks slots fails at once. */
const longestStartUp = '21474835000';

/** Files of the conf directory that are handed on as they are. */
const handedOn = /^(log4j.*\.properties|logback.*\.xml)$/;

/** Lays what drey adds over what was configured, and writes it for all to read. @throws ConfigurationError */
export async function writeEffective(
  plan: Plan,
  configuration: Configuration,
  addresses: Addresses,
): Promise<Effective> {
  const settings = new Map<string, string | readonly string[]>(
    configuration
      .entries()
      .filter((setting) => !isStockLocalhost(setting, addresses.advertised))
      .map((setting) => [setting.key, setting.list ?? setting.value]),
  );
  const unlessSet = (key: string, value: string): void => {
    if (!settings.has(key)) settings.set(key, value);
  };
  settings.set('drey.cluster', plan.cluster);
  settings.set('drey.nats.servers', addresses.nats);
  settings.set('drey.zookeeper.quorum', addresses.zookeeper);
  settings.set('drey.state.dir', plan.stateDir);
  settings.set('drey.flink.home', plan.flinkHome);
  for (const key of reachable) unlessSet(key, addresses.advertised);
  for (const [key, value] of defaults) unlessSet(key, value);
  unlessSet('web.upload.dir', join(plan.stateDir, 'upload'));
  if (plan.demand === 'fixed') {
    unlessSet('resourcemanager.standalone.start-up-time', longestStartUp);
  }
  const bind = bindHost(settings);
  await choosePort(settings, 'rest.port', '8081', bind('rest.bind-address'));
  if (!plan.flinkHa) {
    await choosePort(settings, 'jobmanager.rpc.port', '6123', bind('jobmanager.bind-host'));
  }
  const confDir = join(plan.stateDir, 'conf');
  writeConfDir(confDir, plan.confDir, settings);
  const secure = settings.get('security.ssl.rest.enabled') ?? settings.get('security.ssl.enabled');
  const scheme = secure === 'true' ? 'https' : 'http';
  const restUrl = `${scheme}://${settings.get('rest.address')}:${settings.get('rest.port')}`;
  return { settings, confDir, restUrl };
}

/** `localhost` from a file is Flink's default text, not a decision; given by `-D` it is one. */
function isStockLocalhost(setting: Setting, advertised: string): boolean {
  if (setting.value !== 'localhost' || setting.origin === '-D' || isLoopback(advertised)) {
    return false;
  }
  return [...reachable, ...bound, 'taskmanager.host'].includes(setting.key);
}

function bindHost(
  settings: ReadonlyMap<string, string | readonly string[]>,
): (key: string) => string {
  return (key) => {
    const value = settings.get(key);
    return typeof value === 'string' ? value : '0.0.0.0';
  };
}

/** Replaces 0 by a free port, so that all know it; a busy port is told before anything starts. */
async function choosePort(
  settings: Map<string, string | readonly string[]>,
  key: string,
  otherwise: string,
  host: string,
): Promise<void> {
  const wanted = String(settings.get(key) ?? otherwise);
  if (wanted === '0') {
    settings.set(key, String(await freePort(host)));
    return;
  }
  // Ranges ("8081-8090") are Flink's own business.
  if (/^\d+$/.test(wanted) && !(await isFree(Number(wanted), host))) {
    throw new ConfigurationError(key, `port ${wanted} is in use; stop what uses it or set ${key}`);
  }
  settings.set(key, wanted);
}

function writeConfDir(
  target: string,
  source: string,
  settings: ReadonlyMap<string, string | readonly string[]>,
): void {
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
      copyFileSync(join(import.meta.dirname, 'conf', name), join(target, name));
    }
  }
}
