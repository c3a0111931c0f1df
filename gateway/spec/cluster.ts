import { type ClusterSettings, clusterSettings } from '#proto/spec.ts';
import type { Configuration } from '#runtime/config/configuration.ts';
import { wrongValue } from '#runtime/config/configuration.ts';
import { ConfigurationError } from '#runtime/errors.ts';
import { hostAttributes, labels, portKeys, userUris } from './entries.ts';
import { taskManagerMemory } from './memory.ts';

/** What configuration does not say and the machine does. */
export interface Machine {
  readonly user: string;
  readonly hostname: string;
}

const manager = 'mesos.resourcemanager';
const defaultMemoryMb = 1728;

/** The whole cluster out of the configuration, with the keys and defaults of Flink 1.13. @throws ConfigurationError */
export function clusterSettingsOf(config: Configuration, machine: Machine): ClusterSettings {
  refuseContainers(config);
  const gpus = config.int(`${manager}.tasks.gpus`, { min: 0 }) ?? 0;
  return clusterSettings.parse({
    framework: framework(config, machine, gpus),
    task: task(config),
    worker: worker(config, gpus),
    networkResource: config.string(`${manager}.network.resource.name`) ?? 'network',
    hostAttributes: hostAttributes(config),
    offers: {
      refuseSeconds:
        (config.int(`${manager}.declined-offer-refuse-duration`, { min: 0 }) ?? 5000) / 1000,
      idleRefuseSeconds: (config.durationMs('drey.offers.idle-refuse') ?? 300_000) / 1000,
    },
    demand: {
      mode: config.oneOf('drey.demand', ['driver', 'fixed']) ?? 'driver',
      target: config.int('drey.demand.target', { min: 0, max: 100_000 }) ?? 0,
    },
    failures: failures(config),
    reconcile: reconcile(config),
  } satisfies ClusterSettings);
}

function framework(
  config: Configuration,
  machine: Machine,
  gpus: number,
): ClusterSettings['framework'] {
  const hostname = config.string('jobmanager.rpc.address') ?? machine.hostname;
  const scheme = restIsTls(config) ? 'https' : 'http';
  const restHost = config.string('rest.address') ?? hostname;
  const principal = config.string(`${manager}.framework.principal`);
  return {
    name: config.string(`${manager}.framework.name`) ?? 'Flink',
    user: config.string(`${manager}.framework.user`) || machine.user,
    roles: [config.string(`${manager}.framework.role`) ?? '*'],
    hostname,
    webuiUrl: `${scheme}://${restHost}:${config.port('rest.port') ?? 8081}/`,
    failoverTimeoutSeconds: config.int('mesos.failover-timeout', { min: 0 }) ?? 604_800,
    ...(principal === undefined ? {} : { principal }),
    gpus: gpus > 0,
  };
}

function task(config: Configuration): ClusterSettings['task'] {
  const bootstrap = config.string(`${manager}.tasks.bootstrap-cmd`);
  const start =
    config.string(`${manager}.tasks.taskmanager-cmd`) ?? '$FLINK_HOME/bin/mesos-taskmanager.sh';
  const user = config.string(`${manager}.tasks.user`);
  const hostname = config.string(`${manager}.tasks.hostname`);
  return {
    command: bootstrap === undefined ? start : `${bootstrap} && ${start}`,
    environment: {
      FLINK_HOME: '.',
      FRAMEWORK_NAME: config.string(`${manager}.framework.name`) ?? 'Flink',
      ...javaOptions(config),
      ...Object.fromEntries(config.below('containerized.taskmanager.env.')),
    },
    uris: userUris(config),
    labels: labels(config),
    ...(user === undefined ? {} : { user }),
    killGraceSeconds: (config.durationMs('drey.kill.grace') ?? 10_000) / 1000,
    ...(hostname === undefined ? {} : { hostname }),
  };
}

/** What the old script read from the file on the agent: flags for every JVM, and for TaskManagers. */
function javaOptions(config: Configuration): Readonly<Record<string, string>> {
  const joined = (...values: readonly (string | undefined)[]): string =>
    values.filter((value) => value !== undefined).join(' ');
  const all = joined(
    config.string('env.java.default-opts.all'),
    config.firstOf('env.java.opts.all', 'env.java.opts')?.value,
  );
  const own = joined(
    config.string('env.java.default-opts.taskmanager'),
    config.string('env.java.opts.taskmanager'),
  );
  return {
    ...(all === '' ? {} : { FLINK_ENV_JAVA_OPTS: all }),
    ...(own === '' ? {} : { FLINK_ENV_JAVA_OPTS_TM: own }),
  };
}

function worker(config: Configuration, gpus: number): ClusterSettings['worker'] {
  const slots = config.int('taskmanager.numberOfTaskSlots', { min: 1 }) ?? 1;
  const cpus = workerCpus(config, slots);
  const memory = taskManagerMemory(config);
  if (memory === undefined && config.string('drey.demand') === 'fixed') {
    throw new ConfigurationError(
      'taskmanager.memory.process.size',
      'is not set; with drey.demand: fixed it says how much memory each TaskManager gets',
    );
  }
  const size = {
    cpus,
    memMb: memory?.memMb ?? defaultMemoryMb,
    diskMb: config.int(`${manager}.tasks.disk`, { min: 0 }) ?? 0,
    gpus,
    network: config.int(`${manager}.tasks.network.bandwidth`, { min: 0 }) ?? 0,
    slots,
    ports: [...portKeys(config)],
  };
  if (memory === undefined) return { size };
  const dynamic = [
    ...memory.dynamic,
    `taskmanager.cpu.cores=${Number.isInteger(cpus) ? cpus.toFixed(1) : cpus}`,
    `taskmanager.numberOfTaskSlots=${slots}`,
    'external-resources=none',
  ];
  return { size, flink: { jvm: memory.jvm, dynamic } };
}

/** As in 1.13: `taskmanager.cpu.cores`; else `tasks.cpus` where it is above 0; else one per slot. */
function workerCpus(config: Configuration, slots: number): number {
  const cores = config.double('taskmanager.cpu.cores');
  const cpus = cores ?? (config.double(`${manager}.tasks.cpus`) || slots);
  if (cpus > 0) return cpus;
  const setting = config.firstOf('taskmanager.cpu.cores', `${manager}.tasks.cpus`);
  if (setting === undefined) throw new RangeError(`a worker of ${cpus} cpus and ${slots} slots`);
  throw wrongValue(setting, 'a TaskManager needs more than 0 cpus');
}

function failures(config: Configuration): ClusterSettings['failures'] {
  const start = 'resourcemanager.start-worker';
  return {
    maxPerMinute: config.double(`${start}.max-failure-rate`, { min: 0.001 }) ?? 10,
    pauseMs: config.durationMs(`${start}.retry-interval`) ?? 3000,
    // The gateway gives an offer back after 5 s: an ACCEPT that it has not seen by then is never sent.
    launchTimeoutMs: config.durationMs('drey.launch.timeout', { min: 1 }) ?? 10_000,
    unreachableGraceMs: config.durationMs('drey.unreachable.grace', { min: 1 }) ?? 60_000,
    killRepeatMs: config.durationMs('drey.kill.repeat', { min: 1 }) ?? 5000,
    agentPenaltyMs: config.durationMs('drey.agent.penalty') ?? 10_000,
  };
}

function reconcile(config: Configuration): ClusterSettings['reconcile'] {
  const key = 'drey.reconcile';
  return {
    explicitBaseMs: config.durationMs(`${key}.explicit.base`, { min: 1 }) ?? 5000,
    explicitMaxMs: config.durationMs(`${key}.explicit.max`, { min: 1 }) ?? 60_000,
    implicitEveryMs: config.durationMs(`${key}.implicit`, { min: 1 }) ?? 600_000,
    batch: config.int(`${key}.batch`, { min: 1 }) ?? 500,
    masterSettleMs: config.durationMs(`${key}.master-settle`) ?? 600_000,
  };
}

/** Whether Flink's REST server speaks TLS: its own key, else the general one. */
export function restIsTls(config: Configuration): boolean {
  return (
    config.boolean('security.ssl.rest.enabled') ?? config.boolean('security.ssl.enabled') ?? false
  );
}

/** A worker that should be in a container must not silently run outside one. */
function refuseContainers(config: Configuration): void {
  const container = `${manager}.tasks.container`;
  if (config.oneOf(`${container}.type`, ['mesos', 'docker']) === 'docker') {
    throw new ConfigurationError(
      `${container}.type`,
      'docker is not supported yet; remove the key to run TaskManagers without an image',
    );
  }
  for (const rest of ['image.name', 'volumes', 'docker.parameters']) {
    const value = config.string(`${container}.${rest}`);
    if (value === undefined || value.trim() === '') continue;
    throw new ConfigurationError(
      `${container}.${rest}`,
      'containers are not supported yet; remove the key to run TaskManagers without an image',
    );
  }
}
