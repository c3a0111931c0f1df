import { existsSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { type Configuration, wrongValue } from '#runtime/config/configuration.ts';
import { clusterOf, natsOf, zookeeperOf } from '#runtime/config/connections.ts';
import { ConfigurationError } from '#runtime/errors.ts';

/** What is to be started on this machine, and where; nothing has been started or written yet. */
export interface Plan {
  readonly cluster: string;
  readonly master: string;
  readonly stateDir: string;
  readonly logDir: string;
  readonly flinkHome: string;
  /** The directory whose configuration was read. */
  readonly confDir: string;
  readonly demand: 'driver' | 'fixed';
  /** Whether Flink elects among several JobManagers. */
  readonly flinkHa: boolean;
  readonly nats: ServerPlan;
  readonly zookeeper: ServerPlan;
  /** Processes that each run every function. */
  readonly functionProcesses: number;
  /** How long functions may take to begin the teardown after the JobManager's orderly end. */
  readonly endTimeoutMs: number;
}

/** A server that is configured elsewhere, or one of our own on loopback. */
export type ServerPlan =
  | { readonly kind: 'configured'; readonly address: string }
  /** `port` undefined: any free one, the last one used where it is still free. */
  | { readonly kind: 'own'; readonly port: number | undefined };

/** Functions that restart are back within seconds. */
const defaultEndTimeoutMs = 120_000;

/** Where things lie: the environment and the directories that follow from it. */
export interface Place {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly flinkHome: string;
  readonly confDir: string;
}

/** FLINK_HOME and FLINK_CONF_DIR; the second defaults to `conf` in the first. @throws ConfigurationError */
export function placeOf(environment: Readonly<Record<string, string | undefined>>): Place {
  const flinkHome = environment.FLINK_HOME;
  if (!flinkHome) {
    throw new ConfigurationError(
      'FLINK_HOME',
      "is not set; name Flink's directory, with lib/ in it",
    );
  }
  const confDir = environment.FLINK_CONF_DIR || join(flinkHome, 'conf');
  return { environment, flinkHome: resolve(flinkHome), confDir: resolve(confDir) };
}

/** Decides what has to be started. @throws ConfigurationError naming the key and the remedy. */
export function planOf(configuration: Configuration, place: Place): Plan {
  const master = configuration.required(
    'mesos.master',
    'name the Mesos master: -Dmesos.master=host:port, or zk://host:port/path',
  );
  const nats = natsPlan(configuration);
  const zookeeper = zookeeperPlan(configuration);
  const shared = nats.kind === 'configured' || zookeeper.kind === 'configured';
  const cluster = clusterName(configuration, shared);
  refuseJobManagerTask(configuration, nats, zookeeper);
  const functionProcesses = functionProcessesOf(configuration);
  const stateDir = stateDirOf(configuration, place.environment, cluster);
  if (nats.kind === 'own' || zookeeper.kind === 'own') refuseSandbox(place.environment, stateDir);
  refuseOwnConf(place.confDir, stateDir);
  return {
    cluster,
    master,
    stateDir,
    logDir: logDirOf(configuration, place.environment) ?? join(stateDir, 'log'),
    flinkHome: flinkHomeOf(configuration, place),
    confDir: place.confDir,
    demand: configuration.oneOf('drey.demand', ['driver', 'fixed']) ?? 'driver',
    flinkHa: isFlinkHa(configuration),
    nats,
    zookeeper,
    functionProcesses,
    endTimeoutMs:
      configuration.durationMs('drey.appmaster.end-timeout', { min: 1 }) ?? defaultEndTimeoutMs,
  };
}

/** Each takes a port of its own, from `drey.functions.http.port` on. */
function functionProcessesOf(configuration: Configuration): number {
  const processes = configuration.int('drey.functions.processes', { min: 1, max: 64 }) ?? 1;
  const setting = configuration.setting('drey.functions.http.port');
  const highest = 65_536 - processes;
  if (setting !== undefined && (configuration.port(setting.key) ?? 0) > highest) {
    const why = `drey.functions.processes is ${processes}, and each process takes the next port`;
    throw wrongValue(setting, `${why}; allowed is at most ${highest}, or 0 for any free ones`);
  }
  return processes;
}

function natsPlan(configuration: Configuration): ServerPlan {
  if (configuration.has('drey.nats.servers')) {
    const { servers } = natsOf(configuration, 'appmaster');
    return { kind: 'configured', address: servers.join(',') };
  }
  return { kind: 'own', port: ownPort(configuration, 'drey.appmaster.nats.port') };
}

function zookeeperPlan(configuration: Configuration): ServerPlan {
  if (configuration.firstOf('drey.zookeeper.quorum', 'high-availability.zookeeper.quorum')) {
    return { kind: 'configured', address: zookeeperOf(configuration).quorum };
  }
  return { kind: 'own', port: ownPort(configuration, 'drey.appmaster.zookeeper.port') };
}

/** 0 stands for any free port. */
function ownPort(configuration: Configuration, key: string): number | undefined {
  return configuration.port(key) || undefined;
}

/** As the gateway derives it; with servers of our own nobody else can bear the same name. */
function clusterName(configuration: Configuration, shared: boolean): string {
  const setting = configuration.firstOf('drey.cluster', 'high-availability.cluster-id');
  if (setting === undefined) {
    if (!shared) return 'default';
    throw new ConfigurationError(
      'drey.cluster',
      'is not set; with a ZooKeeper or NATS that others use too, give this cluster a name of its own',
    );
  }
  return clusterOf(configuration);
}

/** A JobManager that Mesos may start anywhere cannot reach servers on the loopback of one machine. */
function refuseJobManagerTask(
  configuration: Configuration,
  nats: ServerPlan,
  zookeeper: ServerPlan,
): void {
  const placement = configuration.oneOf('drey.jobmanager.placement', ['appmaster', 'task']);
  if (placement !== 'task') return;
  const missing = nats.kind === 'own' ? 'drey.nats.servers' : 'drey.zookeeper.quorum';
  const why =
    nats.kind === 'own' || zookeeper.kind === 'own'
      ? `task needs servers that other machines reach; set ${missing}`
      : 'task is not supported yet; remove the key';
  throw new ConfigurationError('drey.jobmanager.placement', why);
}

function stateDirOf(
  configuration: Configuration,
  environment: Readonly<Record<string, string | undefined>>,
  cluster: string,
): string {
  const setting = configuration.setting('drey.state.dir');
  if (setting !== undefined) {
    if (!isAbsolute(setting.value)) throw wrongValue(setting, 'allowed is an absolute path');
    return setting.value;
  }
  const home = environment.HOME || homedir();
  const base = environment.XDG_STATE_HOME || join(home, '.local', 'state');
  return join(base, 'drey', cluster);
}

/** What own servers keep must outlive the task as which Mesos (by Marathon) runs this appmaster. */
function refuseSandbox(environment: Place['environment'], stateDir: string): void {
  const sandbox = environment.MESOS_SANDBOX;
  if (!sandbox || !isWithin(stateDir, sandbox)) return;
  throw new ConfigurationError(
    'drey.state.dir',
    `${stateDir} lies in the sandbox of this task, which Mesos clears after it; name a directory that ` +
      'stays, or set drey.nats.servers and drey.zookeeper.quorum',
  );
}

/** The effective configuration is written anew at each start; what lay there is gone. */
function refuseOwnConf(confDir: string, stateDir: string): void {
  const written = ['conf', 'jobmanager-conf']
    .map((name) => join(stateDir, name))
    .find((path) => isWithin(confDir, path));
  if (written === undefined) return;
  throw new ConfigurationError(
    'FLINK_CONF_DIR',
    `${written} is emptied and written by the appmaster; name another directory, or another drey.state.dir`,
  );
}

function isWithin(path: string, folder: string): boolean {
  const [inner, outer] = [path, folder].map((name) =>
    existsSync(name) ? realpathSync(name) : name,
  );
  const way = relative(outer ?? folder, inner ?? path);
  return way !== '..' && !way.startsWith('../') && !isAbsolute(way);
}

/** `drey.flink.home`, else FLINK_HOME, which the launcher sets where nobody did. */
function flinkHomeOf(configuration: Configuration, place: Place): string {
  const setting = configuration.setting('drey.flink.home');
  if (setting === undefined) return place.flinkHome;
  const home = resolve(setting.value);
  if (existsSync(join(home, 'lib'))) return home;
  throw wrongValue(setting, "there is no lib/ in it; name a Flink's directory");
}

/** As Flink's scripts look for it. */
function logDirOf(
  configuration: Configuration,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const given = environment.FLINK_LOG_DIR || configuration.string('env.log.dir');
  return given === undefined ? undefined : resolve(given);
}

function isFlinkHa(configuration: Configuration): boolean {
  const setting = configuration.firstOf('high-availability.type', 'high-availability');
  return setting !== undefined && setting.value.toUpperCase() !== 'NONE';
}
