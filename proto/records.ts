import { z } from 'zod';

/**
 * What rests in ZooKeeper, below `drey.zookeeper.path`/<cluster>. Every record carries the schema
 * version `v` and `op`, the id of the write that made it (how a write in doubt is settled). Unknown
 * fields are kept on rewrite (loose objects). All times are ms since 1970.
 */
const record = { v: z.literal(1), op: z.string() };

/** The registration with Mesos. Written by the leading gateway and, for its state and `held`, by functions. */
export const frameworkRecord = z.looseObject({
  ...record,
  /** Chosen by us and stored before the first SUBSCRIBE. */
  id: z.string(),
  /** Raised by the leading gateway before each SUBSCRIBE; calls of an older epoch find no listener. */
  epoch: z.int().min(0),
  /** The first epoch of this id: workers launched before it belonged to a framework that Mesos removed. */
  firstEpoch: z.int().optional(),
  /** Which gateway wrote the epoch. */
  gateway: z.string(),
  masterId: z.string().optional(),
  /** When the master's id last changed: right after it TASK_UNKNOWN is not believed. */
  masterChangedAt: z.number().optional(),
  /** `ending`: TEARDOWN is owed; `removed`: Mesos has forgotten it; `ended`: our records are gone too. */
  state: z.enum(['active', 'ending', 'removed', 'ended']),
  /** Framework ids that Mesos has removed: never used again. */
  fenced: z.array(z.string()),
  /** Nothing is launched or killed until `admin.release-hold`. */
  held: z
    .looseObject({
      since: z.number(),
      why: z.string(),
      /** The highest worker number that Mesos spoke of: a release raises the counter to it. */
      highest: z.int().optional(),
    })
    .optional(),
  /** How the cluster ended: Flink's application status and a sentence. */
  result: z
    .looseObject({
      status: z.enum(['SUCCEEDED', 'FAILED', 'CANCELED', 'UNKNOWN']),
      why: z.string(),
      at: z.number(),
    })
    .optional(),
});
export type FrameworkRecord = z.infer<typeof frameworkRecord>;

/** What a worker needs; `ports` are the configuration keys that each get one port of the offer. */
export const workerSize = z.looseObject({
  cpus: z.number().positive(),
  memMb: z.number().positive(),
  diskMb: z.number().min(0),
  gpus: z.number().min(0),
  network: z.number().min(0),
  slots: z.int().min(1),
  ports: z.array(z.string()),
});
export type WorkerSize = z.infer<typeof workerSize>;

export const workerStates = [
  'wanted',
  'launching',
  'starting',
  'running',
  'unreachable',
  'stopping',
  'ended',
] as const;
export type WorkerState = (typeof workerStates)[number];

/** One worker: launched at most once in its life; its id is its Mesos task id and its Flink resource id. */
export const workerRecord = z.looseObject({
  ...record,
  id: z.string(),
  kind: z.enum(['taskmanager', 'jobmanager']),
  state: z.enum(workerStates),
  /** Generation of the ClusterSpec by which it was made. */
  generation: z.int(),
  size: workerSize,
  /** What Flink computed for this worker: JVM flags, and `-Dkey=value` properties one by one. */
  flink: z.looseObject({ jvm: z.string(), dynamic: z.array(z.string()) }).optional(),
  /** `<session>-<n>` of the Flink request that it serves. */
  request: z.string().optional(),
  agentId: z.string().optional(),
  hostname: z.string().optional(),
  /** Configuration key -> port. */
  ports: z.record(z.string(), z.int()).optional(),
  /** The launch as it was decided; `op` stays for the worker's life. */
  launch: z
    .looseObject({ op: z.string(), offerIds: z.array(z.string()), epoch: z.int(), at: z.number() })
    .optional(),
  /** The epoch in which Mesos last spoke of it. */
  spoke: z.int(),
  /** Where the newest event about it stood in its epoch: an older one that comes late changes nothing. */
  told: z.looseObject({ epoch: z.int(), sequence: z.int() }).optional(),
  /** The last status as Mesos gave it. */
  status: z
    .looseObject({
      uuid: z.string().optional(),
      state: z.string(),
      reason: z.string().optional(),
      source: z.string().optional(),
      message: z.string().optional(),
      at: z.number(),
    })
    .optional(),
  /** uuid (base64) of a status that is stored but whose ACKNOWLEDGE is not known to be sent. */
  unacknowledged: z.string().optional(),
  /** Answers TASK_UNKNOWN or TASK_LOST of reconciliation that were not believed yet. */
  doubts: z.int().optional(),
  /** KILLs sent. */
  kills: z.int().optional(),
  /** When something is due for it: the launch deadline, the next KILL, the unreachable grace, forgetting. */
  due: z.number().optional(),
  /** Its end is known where it must be: the driver has confirmed it, or nobody waits for it. */
  confirmed: z.boolean(),
  /** When it entered each state. */
  times: z.partialRecord(z.enum(workerStates), z.number()),
  /** One sentence: why it is in this state. */
  why: z.string(),
});
export type WorkerRecord = z.infer<typeof workerRecord>;

/** One Flink request, made in the worker's own transaction: a repeat finds the same worker. Kept while its session lasts. */
export const requestRecord = z.looseObject({
  ...record,
  /** Empty: it was released before it was heard of, and is never served. */
  worker: z.string(),
});
export type RequestRecord = z.infer<typeof requestRecord>;

/** Which driver session holds Flink's side; `past` sessions never take over again. */
export const driverRecord = z.looseObject({
  ...record,
  session: z.string(),
  past: z.array(z.string()),
  flinkVersion: z.string(),
  at: z.number(),
});
export type DriverRecord = z.infer<typeof driverRecord>;

/** The counter of worker ids; it outlives teardown, so that no id is used twice. */
export const fleetRecord = z.looseObject({ ...record, counter: z.int().min(0) });
export type FleetRecord = z.infer<typeof fleetRecord>;

/** Workers that ended before they were running, and the back-off that follows. */
export const launchesRecord = z.looseObject({
  ...record,
  /** The failures of the last minute: each worker counts once. */
  failures: z.array(z.looseObject({ worker: z.string(), at: z.number() })),
  /** Nothing is launched before this time. */
  notBefore: z.number(),
  /** Pauses made in a row: each is twice as long as the one before. */
  pauses: z.int(),
});
export type LaunchesRecord = z.infer<typeof launchesRecord>;

/** An agent on which launches failed: avoided until then. */
export const agentRecord = z.looseObject({
  ...record,
  failures: z.int(),
  avoidUntil: z.number(),
  why: z.string(),
});
export type AgentRecord = z.infer<typeof agentRecord>;

/** Where reconciliation stands; changed by compare-and-set so that one copy asks. */
export const reconcileRecord = z.looseObject({
  ...record,
  epoch: z.int(),
  /** Explicit rounds made in this epoch. */
  attempt: z.int(),
  /** When the next explicit round is due; undefined: every worker has been spoken of. */
  explicitDue: z.number().optional(),
  implicitDue: z.number(),
  /** Workers past `launching` when the epoch's first round was made, and how many of them it ended. */
  asked: z.int(),
  lost: z.int(),
  /** The newest missed event that was seen: workers of which nothing newer was heard are asked about. */
  missed: z.int(),
  /** A person has released a hold in this epoch: what Mesos says is believed. */
  released: z.boolean(),
});
export type ReconcileRecord = z.infer<typeof reconcileRecord>;

/** A command of the admin stream that was applied; the name of the node is `<stream created>-<sequence>-<stored at>`. */
export const commandRecord = z.looseObject({
  ...record,
  command: z.string(),
  at: z.number(),
  /** What was answered; a redelivered command answers the same again. */
  answer: z.looseObject({ ok: z.boolean(), message: z.string() }),
});
export type CommandRecord = z.infer<typeof commandRecord>;

/** Where each record lives. */
export interface RecordPaths {
  readonly base: string;
  readonly framework: string;
  readonly spec: string;
  readonly fleet: string;
  readonly launches: string;
  readonly reconcile: string;
  readonly driver: string;
  readonly workers: string;
  worker(id: string): string;
  /** Index of workers in `wanted`. */
  readonly waiting: string;
  waits(id: string): string;
  /** Index of deadlines. */
  readonly due: string;
  dueAt(at: number, id: string): string;
  /** Index of workers in `stopping` or `ended`: they count no more. */
  readonly leaving: string;
  leaves(id: string): string;
  readonly requests: string;
  request(id: string): string;
  readonly agents: string;
  agent(id: string): string;
  readonly commands: string;
  command(id: string): string;
  readonly leader: string;
}

/** Paths below `root` (`/drey` unless `drey.zookeeper.path` says otherwise) for one cluster. */
export function recordPathsOf(root: string, cluster: string): RecordPaths {
  const base = `${root.replace(/\/+$/, '')}/${cluster}`;
  return {
    base,
    framework: `${base}/framework`,
    spec: `${base}/spec`,
    fleet: `${base}/fleet`,
    launches: `${base}/launches`,
    reconcile: `${base}/reconcile`,
    driver: `${base}/driver`,
    workers: `${base}/workers`,
    worker: (id) => `${base}/workers/${id}`,
    waiting: `${base}/waiting`,
    waits: (id) => `${base}/waiting/${id}`,
    due: `${base}/due`,
    dueAt: (at, id) => `${base}/due/${String(Math.floor(at)).padStart(13, '0')}-${id}`,
    leaving: `${base}/leaving`,
    leaves: (id) => `${base}/leaving/${id}`,
    requests: `${base}/requests`,
    request: (id) => `${base}/requests/${id}`,
    agents: `${base}/agents`,
    agent: (id) => `${base}/agents/${encodeURIComponent(id)}`,
    commands: `${base}/commands`,
    command: (id) => `${base}/commands/${id}`,
    leader: `${base}/leader`,
  };
}

/** The folders that must exist before anything is decided. */
export function recordFolders(paths: RecordPaths): readonly string[] {
  return [
    paths.workers,
    paths.waiting,
    paths.due,
    paths.leaving,
    paths.requests,
    paths.agents,
    paths.commands,
    paths.leader,
  ];
}

/** What is read again with nearly every decision, and changes seldom. */
export function steadyRecords(paths: RecordPaths): {
  readonly nodes: readonly string[];
  readonly folders: readonly string[];
} {
  const { framework, spec, fleet, launches, reconcile, driver } = paths;
  const { workers, waiting, due, leaving, agents, commands } = paths;
  return {
    nodes: [framework, spec, fleet, launches, reconcile, driver],
    folders: [workers, waiting, due, leaving, agents, commands],
  };
}
