import { subjectsOf } from '#proto/subjects.ts';
import { ConfigurationError } from '../errors.ts';
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
}

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

/** How NATS is reached. @throws ConfigurationError */
export function natsOf(config: Configuration): NatsSettings {
  const servers = config.list('drey.nats.servers', ',');
  if (servers === undefined || servers.length === 0) {
    throw new ConfigurationError(
      'drey.nats.servers',
      'is not set; name the NATS servers as nats://host:port, several by commas',
    );
  }
  const user = config.string('drey.nats.user');
  const password = config.string('drey.nats.password');
  const token = config.string('drey.nats.token');
  const credentialsFile = config.string('drey.nats.credentials');
  return {
    servers,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ...(token === undefined ? {} : { token }),
    ...(credentialsFile === undefined ? {} : { credentialsFile }),
  };
}
