import type { FrameworkInfo, TaskInfo } from '#proto/mesos/types.ts';
import {
  type AgentInput,
  type AgentOutput,
  type AgentState,
  type AgentTask,
  firstRetryMs,
  keyOf,
  referenceOf,
  toRecord,
} from './agent-state.ts';
import {
  type AgentStep,
  acknowledged,
  forget,
  pushStatus,
  resend,
  retryDue,
  save,
} from './agent-updates.ts';
import { executorEvent } from './executor-events.ts';
import type { MasterMessage } from './protocol.ts';
import { nextUuid, uuidText } from './uuid.ts';

/** What a kill waits between SIGTERM and SIGKILL unless the task says otherwise. */
const defaultGraceMs = 3_000;
/** The same for executors whose framework ends. */
const shutdownGraceMs = 5_000;

/** The agent as one function, as the master is: registration, tasks, updates until acknowledged. */
export function stepAgent(state: AgentState, input: AgentInput): readonly AgentOutput[] {
  const step: AgentStep = { state, now: input.now, out: [] };
  switch (input.kind) {
    case 'connected':
      connect(step);
      break;
    case 'disconnected':
      state.registered = false;
      break;
    case 'message':
      hear(step, input.message);
      break;
    case 'executor':
      executorEvent(step, input.event);
      break;
    case 'tick':
      tick(step);
      break;
  }
  return step.out;
}

/** When the next tick has something to do. */
export function nextAgentTick(state: AgentState): number | undefined {
  const times: number[] = [];
  for (const { retryAt, killAt, deadline } of state.tasks.values()) {
    for (const time of [state.registered ? retryAt : undefined, killAt, deadline]) {
      if (time !== undefined) times.push(time);
    }
  }
  return times.length === 0 ? undefined : Math.min(...times);
}

function connect(step: AgentStep): void {
  const { state, out } = step;
  state.registered = false;
  const { agentId, registration } = state;
  if (agentId === undefined) {
    out.push({ kind: 'send', message: { kind: 'register', registration } });
    return;
  }
  const known = [...state.tasks.values()].filter(({ ending }) => ending !== 'forsaken');
  const frameworks = new Map<string, FrameworkInfo>();
  for (const { framework } of known) frameworks.set(framework.id?.value ?? '', framework);
  const tasks = known.map((task) => ({
    frameworkId: task.framework.id?.value ?? '',
    task: task.task,
    role: task.role,
    latestState: task.latestState,
    status: task.lastSent,
  }));
  const message = {
    kind: 'reregister',
    agentId,
    registration,
    frameworks: [...frameworks.values()],
    tasks,
  } as const;
  out.push({ kind: 'send', message });
}

function hear(step: AgentStep, message: MasterMessage): void {
  const { state, out } = step;
  switch (message.kind) {
    case 'registered':
      state.agentId = message.agentId;
      out.push({ kind: 'identity', agentId: message.agentId });
      resume(step);
      break;
    case 'reregistered':
      resume(step);
      for (const { framework, taskId } of message.missing) miss(step, framework, taskId);
      break;
    case 'run-task':
      run(step, message);
      break;
    case 'kill-task':
      kill(step, message.framework, message.taskId);
      break;
    case 'acknowledge':
      acknowledged(step, message);
      break;
    case 'framework-updated':
      frameworkUpdated(step, message.framework);
      break;
    case 'shutdown-framework':
      shutdownFramework(step, message.frameworkId);
      break;
    case 'shutdown-executor':
      shutdownExecutor(step, message.frameworkId, message.executorId);
      break;
    case 'ping':
      out.push({ kind: 'send', message: { kind: 'pong' } });
      break;
  }
}

/** Let in by a master: everything that waits is sent again at once. */
function resume(step: AgentStep): void {
  step.state.registered = true;
  for (const task of step.state.tasks.values()) resend(step, task);
}

function frameworkUpdated(step: AgentStep, framework: FrameworkInfo): void {
  for (const task of step.state.tasks.values()) {
    if (task.framework.id?.value !== framework.id?.value) continue;
    task.framework = framework;
    resend(step, task);
  }
}

function newTask(framework: FrameworkInfo, task: TaskInfo, role: string, id: string): AgentTask {
  return {
    framework,
    task,
    role,
    containerId: id,
    phase: 'launching',
    executor: undefined,
    latestState: 'TASK_STAGING',
    ending: undefined,
    pending: [],
    lastSent: undefined,
    retryAt: undefined,
    backoffMs: firstRetryMs,
    killAt: undefined,
    deadline: undefined,
  };
}

function run(step: AgentStep, message: Extract<MasterMessage, { kind: 'run-task' }>): void {
  const { state, out } = step;
  const containerId = uuidText(nextUuid(state.uuids));
  const task = newTask(message.framework, message.task, message.role, containerId);
  const key = keyOf(task);
  const before = state.tasks.get(key);
  if (before !== undefined && before.phase !== 'ended') return;
  if (before !== undefined || (state.lingering.get(key) ?? 0) > step.now) {
    const subject = before ?? { ...task, phase: 'ended' };
    state.tasks.set(key, subject);
    drop(step, subject, {
      reason: 'REASON_TASK_INVALID',
      message: 'Cannot reuse an already existing executor for a command task',
    });
    return;
  }
  state.tasks.set(key, task);
  save(step, task);
  out.push({ kind: 'launch', record: toRecord(task) });
}

/** The master counted on a task that never arrived here. */
function miss(step: AgentStep, framework: FrameworkInfo, taskId: string): void {
  const { state } = step;
  const agent = { value: state.agentId ?? '' };
  const info: TaskInfo = { name: taskId, task_id: { value: taskId }, agent_id: agent };
  const task = newTask(framework, info, '*', uuidText(nextUuid(state.uuids)));
  task.phase = 'ended';
  if (state.tasks.has(keyOf(task))) return;
  state.tasks.set(keyOf(task), task);
  drop(step, task, {
    reason: 'REASON_RECONCILIATION',
    message: 'Reconciliation: task unknown to agent',
  });
}

/** The task does not run here and will not. */
function drop(
  step: AgentStep,
  task: AgentTask,
  why: {
    readonly reason: 'REASON_TASK_INVALID' | 'REASON_RECONCILIATION' | 'REASON_EXECUTOR_TERMINATED';
    readonly message: string;
  },
): void {
  const aware = task.framework.capabilities?.some(({ type }) => type === 'PARTITION_AWARE');
  const state = aware === true ? 'TASK_DROPPED' : 'TASK_LOST';
  pushStatus(step, task, { ...why, state, source: 'SOURCE_AGENT' });
}

function kill(step: AgentStep, framework: FrameworkInfo, taskId: string): void {
  const { state } = step;
  const task = state.tasks.get(`${framework.id?.value}\n${taskId}`);
  if (task === undefined) {
    const agent = { value: state.agentId ?? '' };
    const info: TaskInfo = { name: taskId, task_id: { value: taskId }, agent_id: agent };
    const unknown = newTask(framework, info, '*', uuidText(nextUuid(state.uuids)));
    unknown.phase = 'ended';
    state.tasks.set(keyOf(unknown), unknown);
    const message = 'Cannot find executor';
    drop(step, unknown, { reason: 'REASON_EXECUTOR_TERMINATED', message });
    return;
  }
  if (task.phase === 'ended' || task.ending !== undefined) return;
  task.ending = 'killed';
  if (task.phase === 'launching') {
    step.out.push({ kind: 'cancel', reference: referenceOf(task) });
    task.phase = 'ended';
    pushStatus(step, task, {
      state: 'TASK_KILLED',
      source: 'SOURCE_AGENT',
      reason: 'REASON_TASK_KILLED_DURING_LAUNCH',
      message: 'Killed before delivery to the executor',
    });
    return;
  }
  const grace = task.task.kill_policy?.grace_period?.nanoseconds;
  task.killAt = step.now + (grace === undefined ? defaultGraceMs : grace / 1_000_000);
  if (framework.capabilities?.some(({ type }) => type === 'TASK_KILLING_STATE')) {
    pushStatus(step, task, { state: 'TASK_KILLING', source: 'SOURCE_EXECUTOR' });
  } else {
    save(step, task);
  }
  terminate(step, task);
}

/** `killAt` is set and saved before: an agent that ends here leaves the rest to the next one. */
function terminate(step: AgentStep, task: AgentTask): void {
  step.out.push({ kind: 'signal', reference: referenceOf(task), signal: 'SIGTERM' });
}

function shutdownFramework(step: AgentStep, frameworkId: string): void {
  for (const task of [...step.state.tasks.values()]) {
    if (task.framework.id?.value !== frameworkId) continue;
    task.pending = [];
    task.retryAt = undefined;
    if (task.phase === 'launching') {
      step.out.push({ kind: 'cancel', reference: referenceOf(task) });
      task.phase = 'ended';
    }
    if (task.phase === 'ended') {
      forget(step, task);
      continue;
    }
    const underWay = task.killAt !== undefined;
    task.ending = 'forsaken';
    task.killAt ??= step.now + shutdownGraceMs;
    save(step, task);
    if (!underWay) terminate(step, task);
  }
}

/** SHUTDOWN of a command task's executor: it ends without asking the task. */
function shutdownExecutor(step: AgentStep, frameworkId: string, executorId: string): void {
  const task = step.state.tasks.get(`${frameworkId}\n${executorId}`);
  if (task?.phase !== 'running') return;
  step.out.push({ kind: 'signal', reference: referenceOf(task), signal: 'SIGKILL' });
  executorEvent(step, { ...referenceOf(task), event: 'vanished' });
}

function tick(step: AgentStep): void {
  const { state, now, out } = step;
  for (const task of [...state.tasks.values()]) {
    retryDue(step, task);
    if (task.killAt !== undefined && now >= task.killAt) {
      task.killAt = undefined;
      out.push({ kind: 'signal', reference: referenceOf(task), signal: 'SIGKILL' });
    }
    if (task.deadline !== undefined && now >= task.deadline) {
      task.deadline = undefined;
      if (task.ending !== undefined) continue;
      task.ending = 'out-of-time';
      task.killAt = now + defaultGraceMs;
      save(step, task);
      terminate(step, task);
    }
  }
  for (const [key, until] of state.lingering) if (until <= now) state.lingering.delete(key);
}
