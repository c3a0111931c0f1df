import { allocate } from './allocate.ts';
import { addFramework, waitForScheduler } from './frameworks.ts';
import { addTask, rescind, sendToAgent } from './ledger.ts';
import type { AgentMessage, AgentRegistration, ReportedTask } from './protocol.ts';
import { fromMesos, minus, nothing, plus, type Resources, scalarsOf } from './resources.ts';
import type { Agent, Framework, Step, Task } from './state.ts';
import { isTerminal, reregisterDeadline, taskKey } from './state.ts';
import { remember, tell } from './status.ts';
import { loseTasks, updateFromAgent } from './tasks.ts';

/** A message from an agent's connection. */
export function agentMessage(step: Step, connection: string, message: AgentMessage): void {
  const { state } = step;
  if (message.kind === 'register') {
    const id = `${state.options.masterId}-S${state.nextAgent}`;
    state.nextAgent += 1;
    const agent = addAgent(step, id, connection, message.registration);
    sendToAgent(step, agent, { kind: 'registered', agentId: id });
    allocate(step, [agent]);
    return;
  }
  if (message.kind === 'reregister') {
    reregister(step, connection, message);
    return;
  }
  const agent = state.agents.get(state.connections.get(connection) ?? '');
  if (agent?.connection !== connection) return;
  agent.lastPong = step.now;
  if (message.kind === 'update') updateFromAgent(step, message);
  if (message.kind === 'unregister') unregister(step, agent);
}

/** The connection broke: its offers are void; tasks of frameworks without `checkpoint` are lost. */
export function agentDisconnected(step: Step, connection: string): void {
  const { state } = step;
  const agent = state.agents.get(state.connections.get(connection) ?? '');
  state.connections.delete(connection);
  if (agent?.connection !== connection) return;
  agent.connection = undefined;
  rescindOffers(step, agent);
  const loss = {
    reason: 'REASON_AGENT_DISCONNECTED',
    message: `Agent ${agent.registration.hostname} disconnected`,
    unreachableSince: undefined,
  } as const;
  loseTasks(step, agent, loss, (framework) => framework.info.checkpoint !== true);
}

/** Pings agents, and gives up those that have not answered for too long. */
export function watchAgents(step: Step): void {
  const { options, agents } = step.state;
  const patienceMs = options.agentPingTimeoutMs * options.maxAgentPingTimeouts;
  for (const agent of [...agents.values()]) {
    if (step.now - agent.lastPong >= patienceMs) {
      giveUp(step, agent);
    } else if (step.now >= agent.nextPing) {
      agent.nextPing = step.now + options.agentPingTimeoutMs;
      sendToAgent(step, agent, { kind: 'ping' });
    }
  }
}

/**
 * Agents of the registry that did not come back in time after a master failover are unreachable: what ran on them
 * is not known here, so that frameworks hear FAILURE and no update (`Master::recoveredSlavesTimeout`).
 */
export function giveUpRecovered(step: Step): void {
  const { state, now } = step;
  const deadline = reregisterDeadline(state);
  if (deadline === undefined || now < deadline) return;
  for (const id of state.recovered) {
    state.unreachable.set(id, now * 1_000_000);
    tellFailure(step, id);
  }
  state.recovered.clear();
}

function giveUp(step: Step, agent: Agent): void {
  const unreachableSince = step.now * 1_000_000;
  step.state.unreachable.set(agent.id, unreachableSince);
  removeAgent(step, agent, 'health check timed out', unreachableSince);
}

function unregister(step: Step, agent: Agent): void {
  const message = `Agent ${agent.registration.hostname} removed: the agent unregistered`;
  removeAgent(step, agent, message, undefined);
}

function removeAgent(
  step: Step,
  agent: Agent,
  message: string,
  unreachableSince: number | undefined,
): void {
  const { state } = step;
  const loss = { reason: 'REASON_AGENT_REMOVED', message, unreachableSince } as const;
  loseTasks(step, agent, loss, () => true);
  rescindOffers(step, agent);
  for (const framework of state.frameworks.values()) {
    for (const byAgent of framework.filters.values()) byAgent.delete(agent.id);
  }
  tellFailure(step, agent.id);
  state.agents.delete(agent.id);
  state.whole = minus(state.whole, scalarsOf(agent.total));
  if (agent.connection === undefined) return;
  state.connections.delete(agent.connection);
  step.out.push({ kind: 'close-agent', connection: agent.connection });
}

/** FAILURE of an agent, to every scheduler that is connected. */
function tellFailure(step: Step, agentId: string): void {
  const event = { type: 'FAILURE', failure: { agent_id: { value: agentId } } } as const;
  for (const { stream } of step.state.frameworks.values()) {
    if (stream !== undefined) step.out.push({ kind: 'event', streamId: stream.id, event });
  }
}

function rescindOffers(step: Step, agent: Agent): void {
  for (const offer of [...step.state.offers.values()]) {
    if (offer.agentId === agent.id) rescind(step, offer);
  }
}

function addAgent(
  step: Step,
  id: string,
  connection: string,
  registration: AgentRegistration,
): Agent {
  const { state, now } = step;
  const total = totalOf(registration);
  const agent: Agent = {
    id,
    registration,
    connection,
    total,
    used: nothing,
    offered: nothing,
    registeredAt: now,
    tasks: new Map(),
    killed: new Map(),
    lastPong: now,
    nextPing: now + state.options.agentPingTimeoutMs,
  };
  state.agents.set(id, agent);
  state.connections.set(connection, id);
  state.whole = plus(state.whole, scalarsOf(total));
  return agent;
}

/** What an agent cannot say in resources that exist here it does not have. */
function totalOf(registration: AgentRegistration): Resources {
  const total = fromMesos(registration.resources);
  return typeof total === 'string' ? nothing : total;
}

type Reregistration = Extract<AgentMessage, { readonly kind: 'reregister' }>;

function reregister(step: Step, connection: string, message: Reregistration): void {
  const { state } = step;
  const { agentId, registration } = message;
  const known = state.agents.get(agentId);
  const agent = known ?? addAgent(step, agentId, connection, registration);
  if (known !== undefined) reconnect(step, known, connection, registration);
  const wasUnreachable = state.unreachable.delete(agentId);
  state.recovered.delete(agentId);
  for (const info of message.frameworks) recoverFramework(step, info);
  for (const reported of message.tasks) {
    if (known !== undefined && isForsaken(step, reported))
      sendKill(step, agent, reported.frameworkId, reported.task.task_id.value);
    else adopt(step, agent, reported, wasUnreachable);
  }
  const here = new Set(
    message.tasks.map((one) => taskKey(one.frameworkId, one.task.task_id.value)),
  );
  const gone = [...agent.tasks].filter(([key]) => !here.has(key)).map(([, task]) => task);
  const missing = gone.flatMap((task) => {
    const framework = state.frameworks.get(task.frameworkId);
    const taskId = task.info.task_id.value;
    return framework === undefined ? [] : [{ framework: framework.info, taskId }];
  });
  sendToAgent(step, agent, { kind: 'reregistered', missing });
  for (const task of agent.killed.values()) {
    sendKill(step, agent, task.frameworkId, task.info.task_id.value);
  }
  allocate(step, [agent]);
}

/** A task that was declared lost when the agent's connection broke, for want of `checkpoint`. */
function isForsaken(step: Step, reported: ReportedTask): boolean {
  const framework = step.state.frameworks.get(reported.frameworkId);
  if (framework === undefined || framework.info.checkpoint === true) return false;
  return !framework.tasks.has(reported.task.task_id.value);
}

function sendKill(step: Step, agent: Agent, frameworkId: string, taskId: string): void {
  const framework = step.state.frameworks.get(frameworkId);
  if (framework === undefined) return;
  sendToAgent(step, agent, { kind: 'kill-task', framework: framework.info, taskId });
}

function reconnect(
  step: Step,
  agent: Agent,
  connection: string,
  registration: AgentRegistration,
): void {
  const { state, now } = step;
  const old = agent.connection;
  if (old !== undefined) {
    agentDisconnected(step, old);
    step.out.push({ kind: 'close-agent', connection: old });
  }
  agent.connection = connection;
  state.connections.set(connection, agent.id);
  state.whole = minus(state.whole, scalarsOf(agent.total));
  agent.registration = registration;
  agent.total = totalOf(registration);
  state.whole = plus(state.whole, scalarsOf(agent.total));
  agent.lastPong = now;
  agent.nextPing = now + state.options.agentPingTimeoutMs;
}

/** A framework that a new master knows from its agents only waits for its scheduler. */
function recoverFramework(step: Step, info: Reregistration['frameworks'][number]): void {
  const id = info.id?.value;
  const { frameworks, completed } = step.state;
  if (id === undefined || frameworks.has(id) || completed.has(id)) return;
  waitForScheduler(step, addFramework(step, info, id));
}

function adopt(step: Step, agent: Agent, reported: ReportedTask, wasUnreachable: boolean): void {
  const { state } = step;
  const { frameworkId, task: info } = reported;
  const framework = state.frameworks.get(frameworkId);
  if (framework === undefined) {
    sendToAgent(step, agent, { kind: 'shutdown-framework', frameworkId });
    return;
  }
  const taskId = info.task_id.value;
  if (framework.tasks.get(taskId)?.agentId === agent.id) return;
  const lost = framework.unreachable.get(taskId);
  framework.unreachable.delete(taskId);
  const task = lost ?? newTask(agent, reported);
  task.state = reported.latestState;
  task.status = reported.status;
  task.released = isTerminal(task.state);
  addTask(framework, agent, task);
  if (!wasUnreachable || isTerminal(task.state)) return;
  remember(task, tellBack(step, framework, task));
}

function newTask(agent: Agent, reported: ReportedTask): Task {
  const resources = fromMesos(reported.task.resources ?? []);
  return {
    frameworkId: reported.frameworkId,
    agentId: agent.id,
    info: reported.task,
    role: reported.role,
    resources: typeof resources === 'string' ? nothing : resources,
    state: reported.latestState,
    status: reported.status,
    statuses: reported.status === undefined ? [] : [reported.status],
    released: isTerminal(reported.latestState),
  };
}

function tellBack(step: Step, framework: Framework, task: Task): Task['statuses'][number] {
  return tell(step, framework, {
    taskId: task.info.task_id.value,
    agentId: task.agentId,
    state: task.state,
    reason: 'REASON_AGENT_REREGISTERED',
    message: 'Unreachable agent re-reregistered',
    like: task.status,
  });
}
