import { accessSync, constants } from 'node:fs';
import { subjectsOf } from '#proto/subjects.ts';
import { parseServer } from '../bus/dial.ts';
import { ConfigurationError, DreyError, StoreRefusedError } from '../errors.ts';
import { parseServers } from '../store/servers.ts';
import { type Configuration, wrongValue } from './configuration.ts';

/** How ZooKeeper is reached, and below which path all records lie. */
export interface ZooKeeperSettings {
  readonly quorum: string;
  readonly path: string;
  readonly sessionTimeoutMs: number;
  /** `user:password` of the digest scheme. */
  readonly auth?: string;
}

/** How NATS is reached. */
export interface NatsSettings {
  readonly servers: readonly string[];
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** A `.creds` file: JWT and seed. */
  readonly credentialsFile?: string;
  /** A file that holds the seed of a user's nkey. */
  readonly nkeyFile?: string;
  /** PEM files; set: the connection is encrypted whatever the servers' addresses say. */
  readonly tls?: {
    readonly caFile?: string;
    readonly certFile?: string;
    readonly keyFile?: string;
  };
}

/** Processes that may each be a user of NATS of their own: `drey.nats.<process>.user` and the like. */
export type NatsProcess = 'gateway' | 'functions' | 'appmaster';

/** `drey.cluster`, else Flink's own cluster id with its slashes made dashes. @throws ConfigurationError */
export function clusterOf(config: Configuration): string {
  const setting = config.firstOf('drey.cluster', 'high-availability.cluster-id');
  if (setting === undefined) {
    throw new ConfigurationError(
      'drey.cluster',
      'is not set; give each cluster on the same ZooKeeper and NATS a name of its own',
    );
  }
  const name =
    setting.key === 'drey.cluster'
      ? setting.value
      : setting.value.replace(/^\/+|\/+$/g, '').replaceAll('/', '-');
  try {
    subjectsOf(name);
  } catch (error) {
    if (error instanceof RangeError) throw wrongValue(setting, error.message);
    throw error;
  }
  return name;
}

/** How ZooKeeper is reached and where the records lie. @throws ConfigurationError */
export function zookeeperOf(config: Configuration): ZooKeeperSettings {
  const quorum = config.firstOf('drey.zookeeper.quorum', 'high-availability.zookeeper.quorum');
  if (quorum === undefined) {
    throw new ConfigurationError(
      'drey.zookeeper.quorum',
      'is not set; name the ZooKeeper servers as host:port,host:port',
    );
  }
  try {
    parseServers(quorum.value);
  } catch (error) {
    if (error instanceof RangeError) throw wrongValue(quorum, error.message);
    throw error;
  }
  const auth = config.string('drey.zookeeper.auth');
  return {
    quorum: quorum.value,
    path: recordRoot(config),
    sessionTimeoutMs: config.durationMs('drey.zookeeper.session-timeout', { min: 1000 }) ?? 10_000,
    ...(auth === undefined ? {} : { auth }),
  };
}

/** Flink deletes its whole subtree when a cluster ends: our records must not lie below it. */
function recordRoot(config: Configuration): string {
  const path = config.string('drey.zookeeper.path') ?? '/drey';
  const setting = { key: 'drey.zookeeper.path', value: path, origin: 'default' };
  const given = config.setting('drey.zookeeper.path') ?? setting;
  if (!/^(\/[^/]+)+$/.test(path)) throw wrongValue(given, 'allowed is an absolute path');
  const flinkRoot = config.string('high-availability.zookeeper.path.root') ?? '/flink';
  const flinkId = config.string('high-availability.cluster-id') ?? '/default';
  const flink = `/${flinkRoot}/${flinkId}`.replace(/\/+/g, '/').replace(/\/$/, '');
  if (path === flink || path.startsWith(`${flink}/`)) {
    throw wrongValue(given, `Flink deletes ${flink} when a cluster ends; choose another path`);
  }
  return path;
}

/** On how many servers of a NATS cluster each stream is kept. @throws ConfigurationError */
export function streamReplicasOf(config: Configuration): number {
  return config.int('drey.nats.replicas', { min: 1, max: 5 }) ?? 1;
}

/** How NATS is reached by this process. @throws ConfigurationError */
export function natsOf(config: Configuration, process: NatsProcess): NatsSettings {
  const servers = config.list('drey.nats.servers', ',');
  if (servers === undefined || servers.length === 0) {
    throw new ConfigurationError(
      'drey.nats.servers',
      'is not set; name the NATS servers as nats://host:port, several by commas',
    );
  }
  for (const server of servers) parseServer(server);
  const own = identityOf(config, `drey.nats.${process}.`);
  const identity = Object.keys(own).length > 0 ? own : identityOf(config, 'drey.nats.');
  const tls = present({
    caFile: fileAt(config, 'drey.nats.tls.ca'),
    certFile: fileAt(config, 'drey.nats.tls.certificate'),
    keyFile: fileAt(config, 'drey.nats.tls.key'),
  });
  if ((tls.certFile === undefined) !== (tls.keyFile === undefined)) {
    const missing = tls.keyFile === undefined ? 'key' : 'certificate';
    throw new ConfigurationError(
      `drey.nats.tls.${missing}`,
      'is not set; a certificate of our own needs both drey.nats.tls.certificate and drey.nats.tls.key',
    );
  }
  return { servers, ...identity, ...(Object.keys(tls).length === 0 ? {} : { tls }) };
}

/** Who we are to NATS, by the keys that begin so. */
function identityOf(config: Configuration, prefix: string) {
  return present({
    user: config.string(`${prefix}user`),
    password: config.string(`${prefix}password`),
    token: config.string(`${prefix}token`),
    credentialsFile: fileAt(config, `${prefix}credentials`),
    nkeyFile: fileAt(config, `${prefix}nkey`),
  });
}

/** A file that is named must be there from the start. */
function fileAt(config: Configuration, key: string): string | undefined {
  const path = config.string(key);
  if (path === undefined) return undefined;
  try {
    accessSync(path, constants.R_OK);
  } catch (cause) {
    throw new ConfigurationError(key, `the file ${path} cannot be read`, { cause });
  }
  return path;
}

/** Only what is set. */
function present<T extends Readonly<Record<string, string | undefined>>>(
  values: T,
): { [K in keyof T]?: string } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: string };
}

/** Connects to ZooKeeper; what fails names the key by which it is mended. @throws ConfigurationError */
export function connectingZooKeeper<T>(connection: Promise<T>): Promise<T> {
  return connection.catch((error: unknown) => {
    if (error instanceof StoreRefusedError) {
      throw underKey('drey.zookeeper.auth', error, 'set it to user:password');
    }
    throw underKey('drey.zookeeper.quorum', error, 'start it or name servers that run');
  });
}

/** Connects to NATS; what fails names the key by which it is mended. @throws ConfigurationError */
export function connectingNats<T>(connection: Promise<T>): Promise<T> {
  return connection.catch((error: unknown) => {
    const remedy = 'start it, or name servers that run and credentials that they take';
    throw underKey('drey.nats.servers', error, remedy);
  });
}

function underKey(key: string, error: unknown, remedy: string): unknown {
  if (!(error instanceof DreyError) || error instanceof ConfigurationError) return error;
  return new ConfigurationError(key, `${error.message}; ${remedy}`, { cause: error });
}
