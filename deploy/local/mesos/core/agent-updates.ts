import type {
  ContainerStatus,
  TaskState,
  TaskStatus,
  TaskStatusReason,
  TaskStatusSource,
} from '#proto/mesos/types.ts';
import {
  type AgentOutput,
  type AgentState,
  type AgentTask,
  firstRetryMs,
  keyOf,
  longestRetryMs,
  referenceOf,
  toRecord,
} from './agent-state.ts';
import type { MasterMessage } from './protocol.ts';
import { isTerminal } from './state.ts';
import { nextUuid } from './uuid.ts';

/** One step of an agent: what it works on and what it says. */
export interface AgentStep {
  readonly state: AgentState;
  readonly now: number;
  readonly out: AgentOutput[];
}

/** The executor of a command task stays for a moment after its task. */
const lingerMs = 1_000;

/** What is new about a task. */
export interface News {
  readonly state: TaskState;
  readonly source: TaskStatusSource;
  readonly reason?: TaskStatusReason;
  readonly message?: string;
}

/** Puts a status at the end of the task's queue, and sends it if nothing is before it. */
export function pushStatus(step: AgentStep, task: AgentTask, news: News): void {
  if (task.ending === 'forsaken') return;
  const { state } = step;
  const status: TaskStatus = {
    task_id: task.task.task_id,
    state: news.state,
    message: news.message,
    source: news.source,
    reason: news.reason,
    agent_id: { value: state.agentId ?? '' },
    executor_id: { value: task.task.task_id.value },
    timestamp: step.now / 1000,
    uuid: nextUuid(state.uuids),
    container_status: news.source === 'SOURCE_EXECUTOR' ? container(state, task) : undefined,
  };
  task.pending.push(status);
  task.latestState = news.state;
  if (isTerminal(news.state)) state.lingering.set(keyOf(task), step.now + lingerMs);
  if (task.pending.length === 1) resend(step, task);
  save(step, task);
}

function container(state: AgentState, task: AgentTask): ContainerStatus {
  const address = { protocol: 'IPv4', ip_address: state.registration.ip } as const;
  return {
    container_id: { value: task.containerId },
    network_infos: [{ ip_addresses: [address] }],
    executor_pid: task.executor?.pid,
  };
}

/** Sends the oldest pending status now, and begins its back-off anew. */
export function resend(step: AgentStep, task: AgentTask): void {
  task.backoffMs = firstRetryMs;
  send(step, task);
}

/** Sends again what has waited for its acknowledgement: after 10 s, 20 s, ... 10 min. */
export function retryDue(step: AgentStep, task: AgentTask): void {
  if (task.retryAt !== undefined && step.now >= task.retryAt) send(step, task);
}

function send(step: AgentStep, task: AgentTask): void {
  const status = task.pending[0];
  if (status === undefined || !step.state.registered) {
    task.retryAt = undefined;
    return;
  }
  task.lastSent = status;
  task.retryAt = step.now + task.backoffMs;
  task.backoffMs = Math.min(longestRetryMs, 2 * task.backoffMs);
  const frameworkId = task.framework.id?.value ?? '';
  const { latestState } = task;
  step.out.push({ kind: 'send', message: { kind: 'update', frameworkId, status, latestState } });
}

/** The oldest status is acknowledged: the next one goes out; after the last one nothing is left. */
export function acknowledged(
  step: AgentStep,
  message: Extract<MasterMessage, { kind: 'acknowledge' }>,
): void {
  const task = step.state.tasks.get(`${message.frameworkId}\n${message.taskId}`);
  const oldest = task?.pending[0];
  if (task === undefined || oldest?.uuid === undefined) return;
  if (Buffer.compare(oldest.uuid, message.uuid) !== 0) return;
  task.pending.shift();
  task.retryAt = undefined;
  if (task.pending.length === 0 && task.phase === 'ended') {
    forget(step, task);
    return;
  }
  resend(step, task);
  save(step, task);
}

export function save(step: AgentStep, task: AgentTask): void {
  const record = toRecord(task);
  step.out.push({ kind: 'persist', reference: referenceOf(task), record });
}

export function forget(step: AgentStep, task: AgentTask): void {
  step.state.tasks.delete(keyOf(task));
  step.out.push({ kind: 'persist', reference: referenceOf(task), record: undefined });
}
