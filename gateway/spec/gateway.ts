import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Configuration } from '#runtime/config/configuration.ts';
import {
  clusterOf,
  type NatsSettings,
  natsOf,
  type ZooKeeperSettings,
  zookeeperOf,
} from '#runtime/config/connections.ts';
import { ConfigurationError } from '#runtime/errors.ts';
import type { Machine } from './cluster.ts';
import { restIsTls } from './cluster.ts';

/** What the gateway process itself needs to know, besides what the cluster is made of. */
export interface GatewaySettings {
  readonly cluster: string;
  /** `mesos.master`, in any of its forms. */
  readonly master: string;
  readonly credential?: Credential;
  readonly zookeeper: ZooKeeperSettings;
  readonly nats: NatsSettings;
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
    nats: natsOf(config, 'gateway'),
    http: {
      host: config.string('drey.gateway.http.bind-host') ?? '0.0.0.0',
      port: config.port('drey.gateway.http.port') ?? 0,
    },
    artifacts: artifactsOf(config, machine),
    stateDir: config.string('drey.state.dir') ?? defaultStateDir(cluster, environment),
    ...(flinkHome === undefined || flinkHome === '' ? {} : { flinkHome }),
  };
}

/** The same place as the appmaster's: never the sandbox, which Mesos clears. */
function defaultStateDir(
  cluster: string,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  const base = environment.XDG_STATE_HOME || join(homedir(), '.local', 'state');
  return join(base, 'drey', cluster);
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
