import type { Configuration } from '#runtime/config/configuration.ts';

const frameworkKeys = [
  'mesos.master',
  'mesos.failover-timeout',
  'mesos.constraints.hard.hostattribute',
  'mesos.resourcemanager.framework.name',
  'mesos.resourcemanager.framework.role',
  'mesos.resourcemanager.framework.user',
  'mesos.resourcemanager.framework.principal',
  'mesos.resourcemanager.framework.secret',
  'mesos.resourcemanager.artifactserver.port',
  'mesos.resourcemanager.artifactserver.ssl.enabled',
  'mesos.resourcemanager.declined-offer-refuse-duration',
  'mesos.resourcemanager.unused-offer-expiration',
  'mesos.resourcemanager.network.resource.name',
] as const;

const taskKeys = [
  'port-assignments',
  'cpus',
  'gpus',
  'disk',
  'network.bandwidth',
  'container.type',
  'container.image.name',
  'container.volumes',
  'container.docker.parameters',
  'container.docker.force-pull-image',
  'hostname',
  'taskmanager-cmd',
  'bootstrap-cmd',
  'uris',
  'user',
  'labels',
].map((rest) => `mesos.resourcemanager.tasks.${rest}`);

const dreyKeys = [
  'drey.cluster',
  'drey.zookeeper.quorum',
  'drey.zookeeper.path',
  'drey.zookeeper.auth',
  'drey.zookeeper.session-timeout',
  'drey.nats.servers',
  'drey.nats.replicas',
  'drey.nats.user',
  'drey.nats.password',
  'drey.nats.token',
  'drey.nats.credentials',
  'drey.nats.nkey',
  'drey.nats.tls.ca',
  'drey.nats.tls.certificate',
  'drey.nats.tls.key',
  'drey.demand',
  'drey.demand.target',
  'drey.launch.timeout',
  'drey.unreachable.grace',
  'drey.kill.repeat',
  'drey.kill.grace',
  'drey.agent.penalty',
  'drey.offers.idle-refuse',
  'drey.reconcile.explicit.base',
  'drey.reconcile.explicit.max',
  'drey.reconcile.implicit',
  'drey.reconcile.batch',
  'drey.reconcile.master-settle',
  'drey.gateway.http.port',
  'drey.gateway.http.bind-host',
  'drey.artifactserver.bind-host',
  'drey.artifactserver.address',
  'drey.mesos.wait',
  'drey.state.dir',
  'drey.flink.home',
  'drey.log.level',
] as const;

/** Each process may be a user of NATS of its own. */
const natsUserKeys = ['gateway', 'functions', 'appmaster', 'driver'].flatMap((name) =>
  ['user', 'password', 'token', 'credentials', 'nkey'].map((rest) => `drey.nats.${name}.${rest}`),
);

/** Keys that other processes of the stack read; their owners check them. */
const foreignPrefixes = [
  'drey.jobmanager.',
  'drey.appmaster.',
  'drey.functions.',
  'drey.driver.',
  'drey.flink.',
  'drey.java.',
  'drey.local.',
];

/** What became of keys that configurations still carry from before Flink 1.13. */
const formerKeys: ReadonlyMap<string, string> = new Map([
  ['mesos.initial-tasks', 'workers start on demand; drey.demand: fixed keeps a number of them'],
  ['mesos.maximum-failed-tasks', 'see resourcemanager.start-worker.max-failure-rate'],
  ['mesos.resourcemanager.tasks.mem', 'use taskmanager.memory.process.size'],
  ['mesos.artifact-server.port', 'use mesos.resourcemanager.artifactserver.port'],
  ['mesos.resourcemanager.unused-offer-expiration', 'offers are never held, it has no effect'],
  ['containerized.heap-cutoff-ratio', 'use taskmanager.memory.process.size'],
  ['containerized.heap-cutoff-min', 'use taskmanager.memory.process.size'],
]);

const known: readonly string[] = [...frameworkKeys, ...taskKeys, ...dreyKeys, ...natsUserKeys];

/** Sentences about keys of ours that do nothing: former ones, and unknown ones with the nearest name. */
export function keyWarnings(config: Configuration): readonly string[] {
  return config.entries().flatMap(({ key, origin }) => {
    const former = formerKeys.get(key);
    if (former !== undefined) return [`${key} (${origin}) is ignored: ${former}`];
    if (!/^(mesos|drey)\./.test(key) || known.includes(key)) return [];
    if (foreignPrefixes.some((prefix) => key.startsWith(prefix))) return [];
    return [`${key} (${origin}) is not known and ignored; the nearest key is ${nearest(key)}`];
  });
}

function nearest(key: string): string {
  const ranked = known.map((name) => ({ name, distance: distance(key, name) }));
  return ranked.reduce((best, each) => (each.distance < best.distance ? each : best)).name;
}

/** Levenshtein's distance: letters to insert, remove or change. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const change = (row[j] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(change, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
