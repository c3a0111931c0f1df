import type { TaskState, TaskStatus, TaskStatusReason } from '#proto/mesos/types.ts';
import { noteUpdate } from './history.ts';
import type { Framework, Step, Task } from './state.ts';

/** What a master says about a task of its own accord; such an update has no uuid. */
export interface MasterStatus {
  readonly taskId: string;
  readonly agentId: string | undefined;
  readonly state: TaskState;
  readonly reason: TaskStatusReason;
  readonly message: string;
  /** Carried on from what the task's executor said last. */
  readonly like?: TaskStatus | undefined;
  /** Nanoseconds. */
  readonly unreachableSince?: number | undefined;
}

/** Sends an update that the master made itself. */
export function tell(step: Step, framework: Framework, status: MasterStatus): TaskStatus {
  const full: TaskStatus = {
    task_id: { value: status.taskId },
    state: status.state,
    message: status.message,
    source: 'SOURCE_MASTER',
    reason: status.reason,
    agent_id: status.agentId === undefined ? undefined : { value: status.agentId },
    timestamp: step.now / 1000,
    healthy: status.like?.healthy,
    container_status: status.like?.container_status,
    unreachable_time:
      status.unreachableSince === undefined ? undefined : { nanoseconds: status.unreachableSince },
  };
  forward(step, framework, full);
  return full;
}

/** Puts an update on the framework's stream; without a stream it is lost, as at a real master. */
export function forward(step: Step, framework: Framework, status: TaskStatus): void {
  const { stream } = framework;
  noteUpdate(step.state.history, step.now, framework.id, status, stream !== undefined);
  if (stream === undefined) return;
  const event = { type: 'UPDATE', update: { status } } as const;
  step.out.push({ kind: 'event', streamId: stream.id, event });
}

export function isPartitionAware(framework: Framework): boolean {
  return framework.capabilities.has('PARTITION_AWARE');
}

/** Keeps a status in the task's own list. */
export function remember(task: Task, status: TaskStatus): void {
  const last = task.statuses.at(-1);
  if (last?.state === status.state && last.uuid !== undefined && sameUuid(last, status)) return;
  task.statuses.push(status);
}

function sameUuid(a: TaskStatus, b: TaskStatus): boolean {
  if (a.uuid === undefined || b.uuid === undefined) return false;
  return Buffer.compare(a.uuid, b.uuid) === 0;
}
