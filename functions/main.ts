import { randomUUID } from 'node:crypto';
import { functionRoles, inboxOf, type Role } from '#proto/access.ts';
import { recordFolders, recordPathsOf, steadyRecords } from '#proto/records.ts';
import { subjectsOf } from '#proto/subjects.ts';
import type { Subscription } from '#runtime/bus/bus.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import type { Configuration } from '#runtime/config/configuration.ts';
import {
  clusterOf,
  connectingNats,
  connectingZooKeeper,
  natsOf,
  streamReplicasOf,
  zookeeperOf,
} from '#runtime/config/connections.ts';
import { readConfiguration } from '#runtime/config/read.ts';
import { ConfigurationError, DreyError } from '#runtime/errors.ts';
import { serveHealth } from '#runtime/http.ts';
import { createLog, type Log } from '#runtime/log.ts';
import { createRegistry, functionMetrics, gauge } from '#runtime/metrics.ts';
import type { RunMetrics } from '#runtime/run/options.ts';
import { type Running, runFunction } from '#runtime/run/runner.ts';
import { onTermination } from '#runtime/shutdown.ts';
import { rememberReads } from '#runtime/store/remembered.ts';
import { connectStore } from '#runtime/store/zookeeper.ts';
import { everyFunction } from './all.ts';
import type { FunctionContext } from './shared/context.ts';
import { serveFunction } from './shared/service.ts';
import { ensureStreams } from './shared/streams.ts';

/** `node functions/main.ts [name …] [-Dkey=value …]`: runs the named functions, all where none is named. */
async function main(words: readonly string[]): Promise<void> {
  const { names, config } = commandLine(words);
  const copy = randomUUID().slice(0, 8);
  const log = createLog({ level: config.string('drey.log.level') ?? 'info', name: 'functions' });
  const cluster = clusterOf(config);
  const registry = createRegistry({ cluster, copy });
  const context = await connect(config, { cluster, copy, log, names });
  const metricsOf = functionMetrics(registry);
  const running = await Promise.all(
    names.map((name) => start(name, context, { cluster, copy, log, metricsOf })),
  );
  gauge(registry, 'drey_events_dropped', 'Events dropped for lack of room or freshness', () =>
    running.reduce((sum, { started }) => sum + started.dropped(), 0),
  );
  const { bus, store } = context;
  const health = await serveHealth({
    port: config.port('drey.functions.http.port') ?? 0,
    host: config.string('drey.functions.http.bind-host') ?? '0.0.0.0',
    portKey: 'drey.functions.http.port',
    registry,
    ready: () => ready(bus.connected, store.session),
  });
  onTermination(
    async () => {
      await Promise.all(running.map(({ service }) => service.drain()));
      await Promise.all(running.map(({ started }) => started.stop()));
      await health.close();
      await bus.close();
      await store.close();
    },
    (error) => log.error({ error }, 'the functions did not stop cleanly'),
  );
  process.stdout.write(
    `${JSON.stringify({ ready: true, functions: names, copy, http: health.port })}\n`,
  );
}

/** @throws ConfigurationError a name that is no function, an option that is none. */
function commandLine(words: readonly string[]): {
  readonly names: readonly string[];
  readonly config: Configuration;
} {
  const options = words.filter((word, at) => word.startsWith('-D') || words[at - 1] === '-D');
  const named = words.filter((word) => !options.includes(word));
  const known = Object.keys(everyFunction);
  for (const name of named) {
    if (known.includes(name)) continue;
    throw new ConfigurationError(name, `is no function; there are ${known.join(', ')}`);
  }
  const config = readConfiguration({ arguments: options, environment: process.env });
  return { names: named.length === 0 ? known : named, config };
}

interface Named {
  readonly names: readonly string[];
}

/** A process that runs one function is that function to NATS. */
function roleOf(names: readonly string[]): Role {
  const [only] = functionRoles.filter((role) => names.includes(role));
  return names.length === 1 && only !== undefined ? only : 'functions';
}

async function connect(
  config: Configuration,
  { cluster, copy, log, names }: Pick<Copy, 'cluster' | 'copy' | 'log'> & Named,
): Promise<FunctionContext> {
  const { servers, ...credentials } = natsOf(config, 'functions');
  const { quorum, sessionTimeoutMs, auth, path } = zookeeperOf(config);
  const clock = systemClock;
  const subjects = subjectsOf(cluster);
  const paths = recordPathsOf(path, cluster);
  const name = `drey-functions-${copy}`;
  const inbox = inboxOf(cluster, roleOf(names));
  const bus = await connectingNats(connectBus({ servers, credentials, name, inbox, clock, log }));
  const store = await connectingZooKeeper(
    connectStore({
      servers: quorum,
      sessionTimeoutMs,
      clock,
      log,
      ...(auth === undefined ? {} : { auth: { scheme: 'digest', credential: auth } }),
    }),
  );
  for (const folder of recordFolders(paths)) await store.ensure(folder);
  await ensureStreams(bus, subjects, streamReplicasOf(config));
  const remembering = rememberReads(store, clock, steadyRecords(paths));
  return { subjects, paths, store: remembering, bus, clock, log };
}

interface Copy {
  readonly cluster: string;
  readonly copy: string;
  readonly log: Log;
  readonly metricsOf: (name: string) => RunMetrics;
}

/** One function of this process: its runner and its micro service. */
async function start(
  name: string,
  context: FunctionContext,
  { cluster, copy, log, metricsOf }: Copy,
): Promise<{ readonly started: Running; readonly service: Subscription }> {
  const definition = everyFunction[name]?.(context);
  if (definition === undefined) throw new ConfigurationError(name, 'is no function');
  const { store, bus, clock, subjects } = context;
  const started = await runFunction(definition, {
    store,
    bus,
    clock,
    random: Math.random,
    copy,
    log: log.child({ function: name }),
    decisionSubject: subjects.decision(name),
    setAsideSubject: subjects.setAside(name),
    metrics: metricsOf(name),
  });
  return { started, service: await serveFunction(bus, definition, { cluster, copy }) };
}

function ready(bus: boolean, session: string): { readonly ready: boolean; readonly why: string } {
  if (!bus) return { ready: false, why: 'NATS is away' };
  return session === 'connected'
    ? { ready: true, why: 'ok' }
    : { ready: false, why: `the ZooKeeper session is ${session}` };
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof DreyError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
