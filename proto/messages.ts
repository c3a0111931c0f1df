import { z } from 'zod';
import { workerStates } from './records.ts';

/** A message without it is of version 1; one of another version is refused. */
const version = { v: z.literal(1).optional() };
/** Goes into paths and subjects. */
const session = z.string().regex(/^[A-Za-z0-9_-]{1,200}$/);
/** An id that may stand in a path: never a slash or a lone dot. */
const recordId = z.string().regex(/^[A-Za-z0-9_-]{1,200}$/);

/** Of one text, and of all properties of one worker: its record must fit into a node of ZooKeeper. */
const longestText = 10_000;
const longestDynamic = 200_000;

/** `call.<epoch>.<type>` answers with what became of the call. */
export const callOutcome = z.object({
  /** `sent`: Mesos answered 202. `refused`: certainly not applied. `unknown`: may have been applied. */
  outcome: z.enum(['sent', 'refused', 'unknown']),
  status: z.int().optional(),
  message: z.string().optional(),
});
export type CallOutcome = z.infer<typeof callOutcome>;

/** `tick`, once a second from the leading gateway: the time, and the levels as the gateway last set them. */
export const tickMessage = z.object({
  ...version,
  /** ms since 1970. */
  time: z.number(),
  epoch: z.int(),
  gateway: z.string(),
  /** Whether a subscription to Mesos stands. */
  subscribed: z.boolean(),
  /** The position of the newest event of the present epoch that nobody took; 0: none. Workers of which nothing newer was heard are asked about. */
  missed: z.int(),
  /** When offers last came, REVIVE was last sent (ms; 0: not in this subscription). */
  offersAt: z.number(),
  revivedAt: z.number(),
  /** REVIVEs sent since offers last came. */
  revives: z.int(),
  /** Whether the last of SUPPRESS and REVIVE was SUPPRESS. */
  suppressed: z.boolean(),
  /** Offers neither answered nor rescinded. */
  lent: z.int(),
});
export type TickMessage = z.infer<typeof tickMessage>;

/** `event.lapsed`: offers that the gateway has declined because nobody used them in time. */
export const lapsedMessage = z.object({ ...version, offers: z.array(z.string()) });

/** `changed.<kind>.<id>`: a hint that a record was changed. */
export const changedMessage = z.object({
  ...version,
  id: recordId,
  state: z.string(),
  op: z.string(),
});

/** `demand.recover`: a driver takes over Flink's side. */
export const recoverMessage = z.object({ ...version, session, flinkVersion: z.string().max(200) });
/** `demand.request`: one more worker; repeated until it is launched. `n` counts from 1 within the session. */
export const requestMessage = z.object({
  ...version,
  session,
  n: z.int().min(1),
  cpus: z.number().positive(),
  /** Total process memory: the Mesos `mem`. */
  memMb: z.number().positive(),
  slots: z.int().min(1),
  gpus: z.number().min(0).default(0),
  /** `-Xmx… -Xms…`: ProcessMemoryUtils.generateJvmParametersStr. */
  jvm: z.string().max(longestText),
  /** `key=value` one by one: TaskExecutorProcessUtils.generateDynamicConfigsStr. */
  dynamic: z
    .array(z.string().max(longestText))
    .refine(
      (all) => all.join('').length <= longestDynamic,
      `more than ${longestDynamic} characters`,
    ),
});
export type RequestMessage = z.infer<typeof requestMessage>;
/** `demand.release`: a worker is not needed any more. By worker id, or by the number of a request whose answer is not known. */
export const releaseMessage = z.object({
  ...version,
  session,
  worker: recordId.optional(),
  n: z.int().optional(),
});
/** `demand.confirm`: the driver has told Flink of these ends. */
export const confirmMessage = z.object({
  ...version,
  session,
  workers: z.array(recordId).max(1000),
});
/** `demand.deregister`: Flink's cluster ends. */
export const deregisterMessage = z.object({
  ...version,
  session,
  status: z.enum(['SUCCEEDED', 'FAILED', 'CANCELED', 'UNKNOWN']),
  /** A stack trace may be long; its beginning is kept. */
  diagnostics: z.string().transform((text) => text.slice(0, longestText)),
});

export const demandMessages = {
  recover: recoverMessage,
  request: requestMessage,
  release: releaseMessage,
  confirm: confirmMessage,
  deregister: deregisterMessage,
} as const;

/** The answer to every `demand.*` of the driver. */
export const demandAnswer = z.object({
  /** `superseded`: another session holds Flink's side; the driver must report a fatal error. `refused`: see `message`. */
  status: z.enum(['ok', 'superseded', 'refused']),
  message: z.string().optional(),
  /** For `request`: which worker serves it and how far it is. */
  worker: z.string().optional(),
  state: z.enum(workerStates).optional(),
  /** For `recover`: the workers that live, launched at least. */
  workers: z.array(z.object({ id: z.string(), state: z.enum(workerStates) })).optional(),
});
export type DemandAnswer = z.infer<typeof demandAnswer>;

/** `demand.launched`: the ACCEPT for this request's worker is decided; Flink's registration time-out counts from here. */
export const launchedMessage = z.object({ session, n: z.int(), worker: z.string() });
/** `demand.ended`: a worker has ended; repeated until confirmed. */
export const endedMessage = z.object({ session, worker: z.string(), why: z.string() });

/** The commands of administrators: `nats pub drey.<cluster>.admin.<command> '<JSON>'`. */
export const commands = {
  /** Sets the number of workers (`drey.demand: fixed`). */
  scale: z.strictObject({ ...version, workers: z.int().min(0).max(100_000) }),
  /** Stops one worker; what needs it will ask for another. */
  stop: z.strictObject({ ...version, worker: recordId }),
  /** Ends the cluster: every task, the framework, the records. */
  teardown: z.strictObject({
    /** Only the cluster of this framework id: a command that is applied late must not end the next one. */
    framework: z.string().max(200).optional(),
    /** What the cluster's result tells; default: an administrator did it. */
    why: z.string().max(500).optional(),
  }),
  /** Ends a hold after a person has looked. */
  'release-hold': z.strictObject(version),
} as const;
export type CommandName = keyof typeof commands;

/** The answer to a command. */
export const commandAnswer = z.object({
  ok: z.boolean(),
  message: z.string(),
});
export type CommandAnswer = z.infer<typeof commandAnswer>;

/** One line of the decision log. */
export const decisionMessage = z.object({
  at: z.number(),
  function: z.string(),
  copy: z.string(),
  op: z.string(),
  /** What was heard: kind and id of each event. */
  heard: z.array(z.string()),
  /** Paths written. */
  wrote: z.array(z.string()),
  /** Effects, as short lines. */
  effects: z.array(z.string()),
  /** About whom, and why. */
  reasons: z.array(z.object({ about: z.string(), why: z.string() })),
  /** Which version of which record was read, as `<path>@<version>`. */
  read: z.array(z.string()).optional(),
  /** `traceparent` of all that followed from it. */
  trace: z.string().optional(),
});
export type DecisionMessage = z.infer<typeof decisionMessage>;

/** `set-aside.<function>`: a message that a function can make nothing of, and why. */
export const setAsideMessage = z.object({
  ...version,
  at: z.number(),
  function: z.string(),
  copy: z.string(),
  /** Where the message came. */
  subject: z.string(),
  /** Its short name; empty where it could not even be read. */
  what: z.string(),
  why: z.string(),
  /** How many more this copy has set aside since it last told of one. */
  more: z.int(),
});
export type SetAsideMessage = z.infer<typeof setAsideMessage>;

/** JSON as bytes of a message. */
export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
