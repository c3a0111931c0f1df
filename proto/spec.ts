import { z } from 'zod';
import { workerSize } from './records.ts';

/** One file that the Mesos fetcher brings into the sandbox (CommandInfo.URI). */
const uri = z.looseObject({
  value: z.string(),
  extract: z.boolean(),
  executable: z.boolean(),
  cache: z.boolean(),
  outputFile: z.string().optional(),
});

/** What the whole cluster is made of, resolved from configuration: every default is filled in. */
export const clusterSettings = z.looseObject({
  framework: z.looseObject({
    name: z.string(),
    user: z.string(),
    roles: z.array(z.string()).min(1),
    hostname: z.string(),
    webuiUrl: z.string().optional(),
    failoverTimeoutSeconds: z.number().min(0),
    principal: z.string().optional(),
    /** Announces GPU_RESOURCES. */
    gpus: z.boolean(),
  }),
  /** What every TaskManager task is launched with. */
  task: z.looseObject({
    /** A constant shell command; values travel in environment and files. */
    command: z.string(),
    environment: z.record(z.string(), z.string()),
    uris: z.array(uri),
    labels: z.record(z.string(), z.string()),
    user: z.string().optional(),
    killGraceSeconds: z.number().min(0),
    /** `taskmanager.host`, with `_TASK_` for the task id. */
    hostname: z.string().optional(),
  }),
  /** The size of a worker whose maker does not say otherwise (`drey.demand: fixed`). */
  worker: z.looseObject({
    size: workerSize,
    flink: z.looseObject({ jvm: z.string(), dynamic: z.array(z.string()) }).optional(),
  }),
  /** Name of the scalar resource that counts network bandwidth on the agents. */
  networkResource: z.string(),
  /** `mesos.constraints.hard.hostattribute`: all must hold; attribute HOSTNAME is the agent's host name. */
  hostAttributes: z.array(z.looseObject({ attribute: z.string(), value: z.string() })),
  offers: z.looseObject({
    /** Refuse time of an offer that does not fit, seconds. */
    refuseSeconds: z.number().min(0),
    /** Refuse time of an offer that nobody waits for, seconds. */
    idleRefuseSeconds: z.number().min(0),
  }),
  demand: z.looseObject({
    /** `driver`: Flink asks; `fixed`: a target number of workers. */
    mode: z.enum(['driver', 'fixed']),
    target: z.int().min(0),
  }),
  failures: z.looseObject({
    /** More failures than this within a minute make launches pause (`resourcemanager.start-worker.max-failure-rate`). */
    maxPerMinute: z.number().positive(),
    /** The first pause, ms (`resourcemanager.start-worker.retry-interval`); doubled up to a minute. */
    pauseMs: z.number().min(0),
    /** A worker that Mesos does not speak of for so long after ACCEPT is asked about. */
    launchTimeoutMs: z.number().positive(),
    /** Without the driver: an unreachable worker is replaced after so long. */
    unreachableGraceMs: z.number().positive(),
    /** A KILL is repeated after so long until the task has ended; doubled up to a minute. */
    killRepeatMs: z.number().positive(),
    /** How long an agent is avoided after its first failed launch; doubled up to ten minutes. */
    agentPenaltyMs: z.number().min(0),
  }),
  reconcile: z.looseObject({
    /** Base and limit of the pauses between explicit rounds, ms. */
    explicitBaseMs: z.number().positive(),
    explicitMaxMs: z.number().positive(),
    implicitEveryMs: z.number().positive(),
    /** Tasks per RECONCILE call. */
    batch: z.int().positive(),
    /** After a new master id, TASK_UNKNOWN and TASK_LOST are not believed for so long. */
    masterSettleMs: z.number().min(0),
  }),
});
export type ClusterSettings = z.infer<typeof clusterSettings>;

/** What administrators may change while the cluster runs; it lasts until `admin.unset`. */
const overrides = z.looseObject({ target: z.int().min(0).optional() });

/** The `spec` record: configuration at start, and overrides, kept apart. Each change is a new generation. */
export const specRecord = z.looseObject({
  v: z.literal(1),
  op: z.string(),
  generation: z.int(),
  cluster: z.string(),
  configured: clusterSettings,
  overrides,
});
export type SpecRecord = z.infer<typeof specRecord>;

/** The number of workers asked for when `drey.demand` is `fixed`. */
export function targetOf(spec: SpecRecord): number {
  return spec.overrides.target ?? spec.configured.demand.target;
}
