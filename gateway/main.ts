import { randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { inboxOf } from '#proto/access.ts';
import { recordPathsOf } from '#proto/records.ts';
import { type ClusterSettings, clusterSettings } from '#proto/spec.ts';
import { subjectsOf } from '#proto/subjects.ts';
import type { Bus } from '#runtime/bus/bus.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import type { Configuration } from '#runtime/config/configuration.ts';
import { connectingNats, connectingZooKeeper } from '#runtime/config/connections.ts';
import { readConfiguration } from '#runtime/config/read.ts';
import { ConfigurationError, DreyError } from '#runtime/errors.ts';
import { serveHealth } from '#runtime/http.ts';
import { createLog, type Log } from '#runtime/log.ts';
import { createRegistry } from '#runtime/metrics.ts';
import type { Store } from '#runtime/store/store.ts';
import { connectStore } from '#runtime/store/zookeeper.ts';
import { serveArtifacts } from './artifacts/server.ts';
import { makeShipment } from './artifacts/shipment.ts';
import { type Gateway, type GatewayEnd, startGateway } from './core.ts';
import { findMasters } from './mesos/detect.ts';
import { HttpMesos } from './mesos/http.ts';
import { gatewayMetrics, watchStatus } from './metrics.ts';
import { clusterSettingsOf, type Machine } from './spec/cluster.ts';
import { type GatewaySettings, gatewaySettingsOf } from './spec/gateway.ts';
import { keyWarnings } from './spec/keys.ts';
import { type Withheld, withhold } from './spec/withheld.ts';

const usage = 'node gateway/main.ts [--join] [--conf-dir DIR] [-Dkey=value …]';
const closeAfterMs = 5000;

/** What must be closed, the latest first, whatever ends the process. */
type Closers = (() => Promise<unknown> | undefined)[];

/** Runs one gateway until its cluster has ended or a signal comes; resolves to the exit code. */
async function main(words: readonly string[], closers: Closers): Promise<number> {
  const { confDir, options, joins } = commandLine(words);
  const config = readConfiguration({ confDir, arguments: options, environment: process.env });
  const machine: Machine = { user: userInfo().username, hostname: hostname() };
  const settings = gatewaySettingsOf(config, machine, process.env);
  const configured = clusterSettingsOf(config, machine);
  const log = createLog({
    level: config.string('drey.log.level') ?? 'info',
    name: 'gateway',
    destination: process.stderr,
  });
  for (const warning of [...config.warnings, ...keyWarnings(config)]) log.warn({}, warning);
  const masters = findMasters(settings.master, connectRegistry(log));
  const mesos = new HttpMesos({ masters, credential: settings.credential });
  closers.push(() => mesos.close());
  const artifacts = await ship(config, confDir, settings, log, closers);
  const full = withUris(configured, artifacts.urls);
  const withheld = withhold(full, settings.cluster, artifacts.urls);
  const stop = Promise.withResolvers<GatewayEnd>();
  onSignals(() => stop.resolve({ kind: 'stopped' }));
  const running = run(config, settings, withheld, {
    ...{ mesos, log, closers, joins },
    port: artifacts.port,
  });
  const end = await Promise.race([running, stop.promise]);
  if (end.kind === 'failed') throw end.error;
  log.info({}, end.kind === 'ended' ? 'the cluster has ended' : 'stepping down on a signal');
  return 0;
}

interface Surroundings {
  readonly mesos: HttpMesos;
  readonly log: Log;
  readonly closers: Closers;
  /** The cluster was seen alive: it is joined, never begun anew. */
  readonly joins: boolean;
  /** Of the artifact server. */
  readonly port: number;
}

/** Connects, stands for election, says that it is ready; resolves when it has nothing more to do. */
async function run(
  config: Configuration,
  settings: GatewaySettings,
  { stored, complete }: Withheld,
  { mesos, log, closers, joins, port }: Surroundings,
): Promise<GatewayEnd> {
  const id = `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
  const registry = createRegistry({ cluster: settings.cluster, gateway: id });
  const { store, bus } = await connect(settings, id, log, closers);
  const gateway = startGateway({
    store,
    bus,
    clock: systemClock,
    random: Math.random,
    mesos,
    subjects: subjectsOf(settings.cluster),
    paths: recordPathsOf(settings.zookeeper.path, settings.cluster),
    id,
    settings: stored,
    complete,
    log,
    metrics: gatewayMetrics(registry),
    giveUpAfterMs: config.durationMs('drey.mesos.wait') ?? 30_000,
    joins,
  });
  closers.push(() => gateway.stop());
  watchStatus(registry, () => gateway.status);
  const health = await serveHealth({
    ...settings.http,
    portKey: 'drey.gateway.http.port',
    registry,
    ready: () => readiness(gateway),
  });
  closers.push(() => health.close());
  void gateway.ready.then(() => {
    const line = { ready: true, name: id, http: health.port, artifacts: port };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  });
  return gateway.finished;
}

function readiness(gateway: Gateway): { readonly ready: boolean; readonly why: string } {
  const { unready } = gateway.status;
  return { ready: unready === undefined, why: unready ?? 'ok' };
}

/** @throws ConfigurationError an argument that is no option. */
function commandLine(words: readonly string[]): {
  readonly confDir: string | undefined;
  readonly options: readonly string[];
  readonly joins: boolean;
} {
  let confDir = process.env.FLINK_CONF_DIR;
  let joins = false;
  const options: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (word === '--join') joins = true;
    else if (word === '--conf-dir' || word === '--configDir') confDir = words[++at];
    else if (word.startsWith('--conf-dir=')) confDir = word.slice('--conf-dir='.length);
    else if (word === '-D') options.push(word, words[++at] ?? '');
    else if (word.startsWith('-D')) options.push(word);
    else throw new ConfigurationError(word, `is no option; the command is ${usage}`);
  }
  return { confDir: confDir === '' ? undefined : confDir, options, joins };
}

/** How masters are found in a ZooKeeper of their own. */
function connectRegistry(log: Log): (servers: string, auth: string | undefined) => Promise<Store> {
  return (servers, auth) =>
    connectStore({
      servers,
      sessionTimeoutMs: 10_000,
      connectTimeoutMs: 5000,
      clock: systemClock,
      log,
      ...(auth === undefined ? {} : { auth: { scheme: 'digest', credential: auth } }),
    });
}

async function ship(
  config: Configuration,
  confDir: string | undefined,
  settings: GatewaySettings,
  log: Log,
  closers: Closers,
): Promise<{ readonly port: number; readonly urls: readonly string[] }> {
  const { flinkHome, stateDir } = settings;
  if (flinkHome === undefined) {
    log.warn(
      {},
      'neither drey.flink.home nor FLINK_HOME is set: agents must have Flink themselves',
    );
  }
  const shipment = await makeShipment({ config, confDir, flinkHome, stateDir });
  const server = await serveArtifacts(shipment, settings.artifacts, settings.stateDir);
  closers.push(() => server.close());
  return server;
}

/** What we ship comes first; archives are unpacked and kept in the fetcher's cache. */
function withUris(configured: ClusterSettings, urls: readonly string[]): ClusterSettings {
  const ours = urls.map((value) => ({ value, extract: true, executable: false, cache: true }));
  const uris = [...ours, ...configured.task.uris];
  return clusterSettings.parse({ ...configured, task: { ...configured.task, uris } });
}

async function connect(
  settings: GatewaySettings,
  id: string,
  log: Log,
  closers: Closers,
): Promise<{ readonly store: Store; readonly bus: Bus }> {
  const { quorum, sessionTimeoutMs, auth } = settings.zookeeper;
  const store = await connectingZooKeeper(
    connectStore({
      servers: quorum,
      sessionTimeoutMs,
      clock: systemClock,
      log,
      ...(auth === undefined ? {} : { auth: { scheme: 'digest', credential: auth } }),
    }),
  );
  closers.push(() => store.close());
  const { servers, ...credentials } = settings.nats;
  const name = `drey-gateway-${id}`;
  const inbox = inboxOf(settings.cluster, 'gateway');
  const bus = await connectingNats(
    connectBus({ servers, credentials, name, inbox, clock: systemClock, log }),
  );
  closers.push(() => bus.close());
  return { store, bus };
}

function onSignals(stop: () => void): void {
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

/** Closes everything that was opened; what hangs is left to the end of the process. */
async function closeAll(closers: Closers): Promise<void> {
  const enough = new Promise<void>((resolve) => {
    setTimeout(resolve, closeAfterMs).unref();
  });
  for (const close of closers.reverse()) await Promise.race([close(), enough]);
}

const closers: Closers = [];
try {
  const code = await main(process.argv.slice(2), closers);
  await closeAll(closers);
  process.exit(code);
} catch (error) {
  await closeAll(closers);
  if (!(error instanceof DreyError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
