import type { TaskInfo, TaskState, TaskStatus } from '#proto/mesos/types.ts';
import type { Timer } from '#runtime/clock.ts';

/** One task on a simulated agent: how far it is, and which statuses still wait to be acknowledged. */
export interface AgentTask {
  readonly frameworkId: string;
  readonly info: TaskInfo;
  readonly role: string;
  state: TaskState;
  /** Not acknowledged, the oldest first: only that one is sent. */
  readonly pending: TaskStatus[];
  last: TaskStatus | undefined;
  retry: Timer | undefined;
  retryMs: number;
  /** A KILL came before it ran. */
  doomed: boolean;
}

/** How the tasks of a simulated cluster fare. */
export interface TaskWeather {
  /** Fetching and starting, ms, at most. */
  startMs: number;
  /** How often a task fails before it runs. */
  failChance: number;
  /** From SIGTERM to the end, ms, at most. */
  graceMs: number;
  /** How often a message between master and agent is lost. */
  lossChance: number;
}

/** The first repeat of an unacknowledged status, doubled up to ten minutes (FACTS: acknowledgement and retry). */
export const firstRetryMs = 10_000;
export const longestRetryMs = 600_000;

export function newTask(frameworkId: string, info: TaskInfo, role: string): AgentTask {
  return {
    frameworkId,
    info,
    role,
    state: 'TASK_STAGING',
    pending: [],
    last: undefined,
    retry: undefined,
    retryMs: firstRetryMs,
    doomed: false,
  };
}

/** Whether its process runs. */
export function lives(task: AgentTask): boolean {
  return (
    task.state === 'TASK_STAGING' ||
    task.state === 'TASK_STARTING' ||
    task.state === 'TASK_RUNNING' ||
    task.state === 'TASK_KILLING'
  );
}
