import type {
  SchedulerCallAcknowledge,
  SchedulerCallKill,
  TaskStatus,
} from '#proto/mesos/types.ts';
import { completeTask, dropTask, releaseTask, sendToAgent } from './ledger.ts';
import type { AgentMessage } from './protocol.ts';
import { reconcileOne } from './reconcile.ts';
import type { Agent, Framework, Step } from './state.ts';
import { isTerminal, taskKey } from './state.ts';
import { forward, remember, tell } from './status.ts';

/** A status update from an agent: it goes on to the scheduler, and the master learns from it. */
export function updateFromAgent(
  step: Step,
  message: Extract<AgentMessage, { readonly kind: 'update' }>,
): void {
  const { status, latestState } = message;
  const framework = step.state.frameworks.get(message.frameworkId);
  if (framework === undefined) return;
  forward(step, framework, status);
  const task = framework.tasks.get(status.task_id.value);
  if (task === undefined) return;
  remember(task, status);
  task.status = status;
  if (!isTerminal(task.state)) task.state = latestState;
  if (isTerminal(task.state)) releaseTask(step.state, framework, task);
}

/** ACKNOWLEDGE goes on to the agent; a task whose end is acknowledged is forgotten. */
export function acknowledge(
  step: Step,
  framework: Framework,
  call: SchedulerCallAcknowledge,
): void {
  const agent = step.state.agents.get(call.agent_id.value);
  if (agent?.connection === undefined) return;
  const taskId = call.task_id.value;
  const task = framework.tasks.get(taskId);
  const { status } = task ?? {};
  if (task !== undefined && status !== undefined && isTerminal(status.state)) {
    if (sameBytes(status.uuid, call.uuid)) completeTask(step.state, framework, task);
  }
  const { uuid } = call;
  sendToAgent(step, agent, { kind: 'acknowledge', frameworkId: framework.id, taskId, uuid });
}

/** KILL: a task that is not known is answered as reconciliation would. */
export function kill(step: Step, framework: Framework, call: SchedulerCallKill): void {
  const taskId = call.task_id.value;
  const task = framework.tasks.get(taskId);
  if (task === undefined) {
    reconcileOne(step, framework, { task_id: call.task_id, agent_id: call.agent_id });
    return;
  }
  if (call.agent_id !== undefined && call.agent_id.value !== task.agentId) return;
  const agent = step.state.agents.get(task.agentId);
  if (agent === undefined) return;
  // The agent may be gone without the master knowing: it is told again when it comes back.
  agent.killed.set(taskKey(framework.id, taskId), task);
  sendToAgent(step, agent, { kind: 'kill-task', framework: framework.info, taskId });
}

/** Why all tasks of an agent are said to be lost. */
export interface Loss {
  readonly reason: 'REASON_AGENT_REMOVED' | 'REASON_AGENT_DISCONNECTED';
  readonly message: string;
  /** Nanoseconds; set when the agent is unreachable, and its tasks may come back with it. */
  readonly unreachableSince: number | undefined;
}

/** Tells the frameworks that the tasks of an agent are lost or out of reach. */
export function loseTasks(
  step: Step,
  agent: Agent,
  loss: Loss,
  affects: (framework: Framework) => boolean,
): void {
  for (const task of [...agent.tasks.values()]) {
    const framework = step.state.frameworks.get(task.frameworkId);
    if (framework === undefined || !affects(framework)) continue;
    const taskId = task.info.task_id.value;
    const unreachable = loss.unreachableSince !== undefined;
    const aware = framework.capabilities.has('PARTITION_AWARE');
    const told: TaskStatus = tell(step, framework, {
      taskId,
      agentId: agent.id,
      state: unreachable && aware ? 'TASK_UNREACHABLE' : 'TASK_LOST',
      reason: loss.reason,
      message: loss.message,
      unreachableSince: loss.unreachableSince,
    });
    remember(task, told);
    if (unreachable) {
      dropTask(step.state, framework, task);
      framework.unreachable.set(taskId, task);
    } else {
      completeTask(step.state, framework, task);
    }
    task.state = told.state;
  }
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}
