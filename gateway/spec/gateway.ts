import { homedir } from 'node:os';
import { join } from 'node:path';
import { subjectsOf } from '#proto/subjects.ts';
import type { Configuration } from '#runtime/config/configuration.ts';
import { wrongValue } from '#runtime/config/configuration.ts';
import { ConfigurationError } from '#runtime/errors.ts';
import type { Machine } from './cluster.ts';
import { restIsTls } from './cluster.ts';

/** What the gateway process itself needs to know, besides what the cluster is made of. */
export interface GatewaySettings {
  readonly cluster: string;
  /** `mesos.master`, in any of its forms. */
  readonly master: string;
  readonly credential?: Credential;
  readonly zookeeper: {
    readonly quorum: string;
    readonly path: string;
    readonly sessionTimeoutMs: number;
    /** `user:password` of the digest scheme. */
    readonly auth?: string;
  };
  readonly nats: {
    readonly servers: readonly string[];
    readonly user?: string;
    readonly password?: string;
    readonly token?: string;
  };
  readonly http: { readonly host: string; readonly port: number };
  readonly artifacts: ArtifactSettings;
  /** What must outlive the process: the artifact token and the archive. */
  readonly stateDir: string;
  readonly flinkHome?: string;
}

/** Basic authentication at the master; a principal without a secret only names the framework. */
export interface Credential {
  readonly principal: string;
  readonly secret: string;
}

export interface ArtifactSettings {
  readonly host: string;
  readonly port: number;
  /** What agents connect to. */
  readonly address: string;
  readonly tls?: { readonly keystore: string; readonly password: string };
}

/** @throws ConfigurationError */
export function gatewaySettingsOf(
  config: Configuration,
  machine: Machine,
  environment: Readonly<Record<string, string | undefined>>,
): GatewaySettings {
  const cluster = clusterOf(config);
  const master = config.required(
    'mesos.master',
    'name the Mesos master: host:port, http(s)://host:port, zk://host:port/path or file:///path',
  );
  const credential = credentialOf(config);
  const flinkHome = config.string('drey.flink.home') ?? environment.FLINK_HOME;
  return {
    cluster,
    master,
    ...(credential === undefined ? {} : { credential }),
    zookeeper: zookeeperOf(config),
    nats: natsOf(config),
    http: {
      host: config.string('drey.gateway.http.bind-host') ?? '0.0.0.0',
      port: config.port('drey.gateway.http.port') ?? 0,
    },
    artifacts: artifactsOf(config, machine),
    stateDir: config.string('drey.state.dir') ?? join(homedir(), '.drey', cluster),
    ...(flinkHome === undefined || flinkHome === '' ? {} : { flinkHome }),
  };
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

function zookeeperOf(config: Configuration): GatewaySettings['zookeeper'] {
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

function natsOf(config: Configuration): GatewaySettings['nats'] {
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
  return {
    servers,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ...(token === undefined ? {} : { token }),
  };
}

function credentialOf(config: Configuration): Credential | undefined {
  const principal = config.string('mesos.resourcemanager.framework.principal');
  const secret = config.string('mesos.resourcemanager.framework.secret');
  return principal === undefined || secret === undefined ? undefined : { principal, secret };
}

function artifactsOf(config: Configuration, machine: Machine): ArtifactSettings {
  const tls = artifactTls(config);
  return {
    host: config.string('drey.artifactserver.bind-host') ?? '0.0.0.0',
    port: config.port('mesos.resourcemanager.artifactserver.port') ?? 0,
    address:
      config.firstOf('drey.artifactserver.address', 'jobmanager.rpc.address')?.value ??
      machine.hostname,
    ...(tls === undefined ? {} : { tls }),
  };
}

/** As in 1.13: HTTPS when Flink's REST server has it, with the same keystore (PKCS12 here). */
function artifactTls(config: Configuration): ArtifactSettings['tls'] {
  const wanted = config.boolean('mesos.resourcemanager.artifactserver.ssl.enabled') ?? true;
  if (!wanted || !restIsTls(config)) return undefined;
  const keystore = config.firstOf('security.ssl.rest.keystore', 'security.ssl.keystore');
  const password = config.firstOf(
    'security.ssl.rest.keystore-password',
    'security.ssl.keystore-password',
  );
  if (keystore === undefined) {
    throw new ConfigurationError(
      'security.ssl.rest.keystore',
      'is not set; the artifact server uses it, or set mesos.resourcemanager.artifactserver.ssl.enabled: false',
    );
  }
  return { keystore: keystore.value, password: password?.value ?? '' };
}
