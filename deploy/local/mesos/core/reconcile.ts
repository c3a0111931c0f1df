import type { SchedulerCallReconcile, SchedulerCallReconcileTask } from '#proto/mesos/types.ts';
import type { Framework, Step, Task } from './state.ts';
import { isTerminal } from './state.ts';
import { isPartitionAware, tell } from './status.ts';

/** RECONCILE: with tasks, one answer for each that the master can judge; without, all live ones. */
export function reconcile(step: Step, framework: Framework, call: SchedulerCallReconcile): void {
  const asked = call.tasks ?? [];
  for (const task of asked) reconcileOne(step, framework, task);
  if (asked.length > 0) return;
  for (const task of framework.tasks.values()) {
    if (!isTerminal(stateTold(task))) tellLatest(step, framework, task);
  }
}

/** What the master knows of one task; nothing while an agent that may run it is not back yet. */
export function reconcileOne(
  step: Step,
  framework: Framework,
  asked: SchedulerCallReconcileTask,
): void {
  const { state } = step;
  const taskId = asked.task_id.value;
  const task = framework.tasks.get(taskId);
  if (task !== undefined) {
    tellLatest(step, framework, task);
    return;
  }
  const lost = framework.unreachable.get(taskId);
  const agentId = asked.agent_id?.value ?? lost?.agentId;
  const aware = isPartitionAware(framework);
  const answer = { taskId, agentId, reason: 'REASON_RECONCILIATION' } as const;
  if (agentId !== undefined && state.agents.has(agentId)) {
    tell(step, framework, {
      ...answer,
      state: aware ? 'TASK_GONE' : 'TASK_LOST',
      message: 'Reconciliation: Task is unknown to the agent',
    });
    return;
  }
  const unreachableSince = state.unreachable.get(agentId ?? '');
  if (unreachableSince !== undefined) {
    tell(step, framework, {
      ...answer,
      state: aware ? 'TASK_UNREACHABLE' : 'TASK_LOST',
      message: 'Reconciliation: Task is unreachable',
      unreachableSince,
    });
    return;
  }
  const mayComeBack =
    agentId === undefined ? state.recovered.size > 0 : state.recovered.has(agentId);
  if (mayComeBack) return;
  tell(step, framework, {
    ...answer,
    state: aware ? 'TASK_UNKNOWN' : 'TASK_LOST',
    message: 'Reconciliation: Task is unknown',
  });
}

/** The state that the scheduler was told last, which may be behind the newest one. */
function stateTold(task: Task): Task['state'] {
  return task.status?.state ?? task.state;
}

function tellLatest(step: Step, framework: Framework, task: Task): void {
  tell(step, framework, {
    taskId: task.info.task_id.value,
    agentId: task.agentId,
    state: stateTold(task),
    reason: 'REASON_RECONCILIATION',
    message: 'Reconciliation: Latest task state',
    like: task.status,
  });
}
