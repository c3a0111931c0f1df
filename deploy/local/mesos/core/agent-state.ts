import type { FrameworkInfo, TaskInfo, TaskState, TaskStatus } from '#proto/mesos/types.ts';
import type { AgentMessage, AgentRegistration, MasterMessage } from './protocol.ts';
import { type UuidSource, uuidSource } from './uuid.ts';

/** What an agent must not forget of a task when it is killed; it is plain data. */
export interface TaskRecord {
  readonly framework: FrameworkInfo;
  readonly task: TaskInfo;
  readonly role: string;
  readonly containerId: string;
  readonly phase: Phase;
  readonly executor: ExecutorProcess | undefined;
  readonly latestState: TaskState;
  /** Why the task is being ended, if it is. */
  readonly ending: Ending | undefined;
  /** When SIGKILL follows SIGTERM; a time of the clock, so that it holds for the next agent too. */
  readonly killAt: number | undefined;
  /** Statuses that are not acknowledged, the oldest first. */
  readonly pending: readonly TaskStatus[];
  readonly lastSent: TaskStatus | undefined;
}

/** From the launch until its process runs, while it runs, and when it has ended. */
export type Phase = 'launching' | 'running' | 'ended';

/** `forsaken`: nobody wants to hear of it any more. */
export type Ending = 'killed' | 'out-of-time' | 'forsaken';

/** The process that watches over a task, told apart from a later one with the same number. */
export interface ExecutorProcess {
  readonly pid: number;
  readonly startedAt: string;
}

export type AgentTask = {
  -readonly [Field in keyof TaskRecord]: TaskRecord[Field] extends readonly TaskStatus[]
    ? TaskStatus[]
    : TaskRecord[Field];
} & {
  retryAt: number | undefined;
  backoffMs: number;
  /** `max_completion_time`. */
  deadline: number | undefined;
};

/** What an agent is started with. */
export interface AgentOptions {
  readonly registration: AgentRegistration;
  /** The id that a master gave it earlier. */
  readonly agentId: string | undefined;
  /** Random; ids of containers and updates come from it. */
  readonly seed: bigint;
  /** What `persist` said before a restart. */
  readonly recovered: readonly TaskRecord[];
}

export interface AgentState {
  readonly registration: AgentRegistration;
  agentId: string | undefined;
  /** Whether a master has let it in on the present connection. */
  registered: boolean;
  readonly tasks: Map<string, AgentTask>;
  /** Ids of tasks that have just ended, until their executor is gone. */
  readonly lingering: Map<string, number>;
  readonly uuids: UuidSource;
}

/** Which task of which launch an event is about. */
export interface TaskReference {
  readonly frameworkId: string;
  readonly taskId: string;
  readonly containerId: string;
}

/** What happens to the processes of an agent. */
export type ExecutorEvent = TaskReference &
  (
    | { readonly event: 'started'; readonly executor: ExecutorProcess }
    /** It could not be started. `lost`: the agent's fault. */
    | {
        readonly event: 'refused';
        readonly lost: boolean;
        readonly reason: 'REASON_CONTAINER_LAUNCH_FAILED' | 'REASON_EXECUTOR_TERMINATED';
        readonly message: string;
      }
    | { readonly event: 'exited'; readonly code: number }
    | { readonly event: 'signalled'; readonly signal: number }
    /** Its executor is gone and left no word. */
    | { readonly event: 'vanished' }
  );

export type AgentInput =
  | { readonly kind: 'connected'; readonly now: number }
  | { readonly kind: 'disconnected'; readonly now: number }
  | { readonly kind: 'message'; readonly now: number; readonly message: MasterMessage }
  | { readonly kind: 'executor'; readonly now: number; readonly event: ExecutorEvent }
  | { readonly kind: 'tick'; readonly now: number };

export type AgentOutput =
  | { readonly kind: 'send'; readonly message: AgentMessage }
  | { readonly kind: 'launch'; readonly record: TaskRecord }
  /** To the task's whole process group. */
  | {
      readonly kind: 'signal';
      readonly reference: TaskReference;
      readonly signal: 'SIGTERM' | 'SIGKILL';
    }
  /** Not started yet, and no longer wanted. */
  | { readonly kind: 'cancel'; readonly reference: TaskReference }
  /** Keep this, or forget it. */
  | {
      readonly kind: 'persist';
      readonly reference: TaskReference;
      readonly record: TaskRecord | undefined;
    }
  | { readonly kind: 'identity'; readonly agentId: string };

export function createAgent(options: AgentOptions): AgentState {
  const tasks = new Map<string, AgentTask>();
  for (const record of options.recovered) tasks.set(keyOf(record), fromRecord(record));
  return {
    registration: options.registration,
    agentId: options.agentId,
    registered: false,
    tasks,
    lingering: new Map(),
    uuids: uuidSource(options.seed),
  };
}

export const firstRetryMs = 10_000;
export const longestRetryMs = 600_000;

export function fromRecord(record: TaskRecord): AgentTask {
  return {
    ...record,
    pending: [...record.pending],
    retryAt: undefined,
    backoffMs: firstRetryMs,
    deadline: undefined,
  };
}

export function toRecord(task: AgentTask): TaskRecord {
  const { framework, role, containerId, phase, executor, latestState, ending, killAt, lastSent } =
    task;
  const pending = [...task.pending];
  const kept = { framework, task: task.task, role, containerId, phase, executor };
  return { ...kept, latestState, ending, killAt, pending, lastSent };
}

export function keyOf(record: Pick<TaskRecord, 'framework' | 'task'>): string {
  return `${record.framework.id?.value}\n${record.task.task_id.value}`;
}

export function referenceOf(
  record: Pick<TaskRecord, 'framework' | 'task' | 'containerId'>,
): TaskReference {
  return {
    frameworkId: record.framework.id?.value ?? '',
    taskId: record.task.task_id.value,
    containerId: record.containerId,
  };
}
