import type { AgentTask, ExecutorEvent } from './agent-state.ts';
import { type AgentStep, forget, pushStatus, save } from './agent-updates.ts';

/** What a task's process did, in the words of a Mesos agent or its command executor. */
export function executorEvent(step: AgentStep, event: ExecutorEvent): void {
  const task = step.state.tasks.get(`${event.frameworkId}\n${event.taskId}`);
  // A kill during the launch, or a later launch of the same id, has overtaken it.
  if (task?.containerId !== event.containerId || task.phase === 'ended') return;
  if (event.event === 'started') {
    started(step, task, event.executor);
    return;
  }
  task.phase = 'ended';
  task.killAt = undefined;
  task.deadline = undefined;
  if (task.ending === 'forsaken') forget(step, task);
  else ended(step, task, event);
}

function started(
  step: AgentStep,
  task: AgentTask,
  executor: Extract<ExecutorEvent, { event: 'started' }>['executor'],
): void {
  task.executor = executor;
  if (task.phase === 'running') {
    save(step, task);
    return;
  }
  task.phase = 'running';
  const limit = task.task.max_completion_time?.nanoseconds;
  if (limit !== undefined) task.deadline = step.now + limit / 1_000_000;
  pushStatus(step, task, { state: 'TASK_STARTING', source: 'SOURCE_EXECUTOR' });
  pushStatus(step, task, { state: 'TASK_RUNNING', source: 'SOURCE_EXECUTOR' });
}

function ended(
  step: AgentStep,
  task: AgentTask,
  event: Exclude<ExecutorEvent, { event: 'started' }>,
): void {
  switch (event.event) {
    case 'refused': {
      const { reason, message } = event;
      const state = event.lost ? lostState(task) : 'TASK_FAILED';
      pushStatus(step, task, { state, source: 'SOURCE_AGENT', reason, message });
      return;
    }
    case 'vanished':
      pushStatus(step, task, {
        state: 'TASK_FAILED',
        source: 'SOURCE_AGENT',
        reason: 'REASON_EXECUTOR_TERMINATED',
        message: 'Executor terminated',
      });
      return;
    case 'exited':
      finished(step, task, event.code === 0, `Command exited with status ${event.code}`);
      return;
    case 'signalled':
      finished(step, task, false, `Command terminated with signal ${signalName(event.signal)}`);
  }
}

function finished(step: AgentStep, task: AgentTask, well: boolean, message: string): void {
  const source = 'SOURCE_EXECUTOR';
  if (task.ending === 'out-of-time') {
    const reason = 'REASON_MAX_COMPLETION_TIME_REACHED';
    pushStatus(step, task, { state: 'TASK_FAILED', source, reason, message });
    return;
  }
  const state = well ? 'TASK_FINISHED' : 'TASK_FAILED';
  pushStatus(step, task, {
    state: task.ending === 'killed' ? 'TASK_KILLED' : state,
    source,
    message,
  });
}

function lostState(task: AgentTask): 'TASK_DROPPED' | 'TASK_LOST' {
  const aware = task.framework.capabilities?.some(({ type }) => type === 'PARTITION_AWARE');
  return aware === true ? 'TASK_DROPPED' : 'TASK_LOST';
}

const names: ReadonlyMap<number, string> = new Map([
  [1, 'Hangup'],
  [2, 'Interrupt'],
  [3, 'Quit'],
  [4, 'Illegal instruction'],
  [5, 'Trace/breakpoint trap'],
  [6, 'Aborted'],
  [7, 'Bus error'],
  [8, 'Floating point exception'],
  [9, 'Killed'],
  [10, 'User defined signal 1'],
  [11, 'Segmentation fault'],
  [12, 'User defined signal 2'],
  [13, 'Broken pipe'],
  [14, 'Alarm clock'],
  [15, 'Terminated'],
]);

/** As strsignal(3) says it. */
function signalName(signal: number): string {
  return names.get(signal) ?? `Unknown signal ${signal}`;
}
