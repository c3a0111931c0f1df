import type { TaskInfo } from '#proto/mesos/types.ts';
import { contains, describe, fromMesos, isEmpty, type Resources } from './resources.ts';
import { idProblem } from './roles.ts';
import type { Agent, Framework } from './state.ts';

/** Why a task cannot be launched, in a master's words and in its order. */
export function taskProblem(
  task: TaskInfo,
  place: {
    readonly framework: Framework;
    readonly agent: Agent;
    readonly role: string;
    readonly left: Resources;
  },
): string | undefined {
  const { framework, agent, role, left } = place;
  const taskId = task.task_id.value;
  const bad = idProblem(taskId);
  if (bad !== undefined) return bad;
  if (framework.tasks.has(taskId)) return `Task has duplicate ID: ${taskId}`;
  if (task.agent_id.value !== agent.id) {
    return `Task uses invalid agent ${task.agent_id.value} while agent ${agent.id} is expected`;
  }
  if ((task.kill_policy?.grace_period?.nanoseconds ?? 0) < 0) {
    return "Task's 'kill_policy.grace_period' must be non-negative";
  }
  if ((task.max_completion_time?.nanoseconds ?? 0) < 0) {
    return "Task's `max_completion_time` must be non-negative";
  }
  const wanted = fromMesos(task.resources ?? []);
  if (typeof wanted === 'string') return `Task uses invalid resources: ${wanted}`;
  if (isEmpty(wanted)) return 'Task uses no resources';
  if ((task.command === undefined) === (task.executor === undefined)) {
    return 'Task should have at least one (but not both) of CommandInfo or ExecutorInfo present';
  }
  if (contains(left, wanted)) return undefined;
  return `Total resources ${described(task, role)} required by task and its executor is more than available ${describe(left, role)}`;
}

/** The task's resources in the order that the task gives them. */
function described(task: TaskInfo, role: string): string {
  const parts = (task.resources ?? []).map((resource) => fromMesos([resource]));
  return parts
    .flatMap((part) => (typeof part === 'string' || isEmpty(part) ? [] : describe(part, role)))
    .join('; ');
}
