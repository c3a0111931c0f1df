import { noteLaunch } from './history.ts';
import type { MasterMessage } from './protocol.ts';
import { minus, nothing, plus, type Resources, scalarsOf } from './resources.ts';
import type { Agent, Framework, MasterState, OfferRecord, Step, Task } from './state.ts';
import { taskKey } from './state.ts';

const completedLimit = 1000;

/** What an agent has left for new offers. */
export function freeOf(agent: Agent): Resources {
  return minus(minus(agent.total, agent.used), agent.offered);
}

/** Takes a task in on its agent; it uses its resources from now on. */
export function addTask(framework: Framework, agent: Agent, task: Task): void {
  framework.tasks.set(task.info.task_id.value, task);
  agent.tasks.set(taskKey(task.frameworkId, task.info.task_id.value), task);
  if (task.released) return;
  agent.used = plus(agent.used, task.resources);
  charge(framework, task.role, task.resources);
}

export function noteAccepted(state: MasterState, task: Task): void {
  noteLaunch(state.history, task.frameworkId, task.info.task_id.value);
}

/** Gives a task's resources back, once. */
export function releaseTask(state: MasterState, framework: Framework, task: Task): void {
  if (task.released) return;
  task.released = true;
  const agent = state.agents.get(task.agentId);
  if (agent !== undefined) agent.used = minus(agent.used, task.resources);
  discharge(framework, task.role, task.resources);
}

/** The task is no longer live: it goes to the list of completed ones. */
export function completeTask(state: MasterState, framework: Framework, task: Task): void {
  dropTask(state, framework, task);
  framework.completed.push(task);
  if (framework.completed.length > completedLimit) framework.completed.shift();
}

/** The task leaves the live ones, its resources are free. */
export function dropTask(state: MasterState, framework: Framework, task: Task): void {
  releaseTask(state, framework, task);
  const taskId = task.info.task_id.value;
  framework.tasks.delete(taskId);
  const agent = state.agents.get(task.agentId);
  agent?.tasks.delete(taskKey(framework.id, taskId));
  agent?.killed.delete(taskKey(framework.id, taskId));
}

export function addOffer(state: MasterState, framework: Framework, offer: OfferRecord): void {
  state.offers.set(offer.id, offer);
  framework.offers.add(offer.id);
  const agent = state.agents.get(offer.agentId);
  if (agent !== undefined) agent.offered = plus(agent.offered, offer.resources);
  charge(framework, offer.role, offer.resources);
  state.history.offers.made += 1;
}

/** The offer is no more; what it held is free again. */
export function dropOffer(state: MasterState, offer: OfferRecord): void {
  state.offers.delete(offer.id);
  const agent = state.agents.get(offer.agentId);
  if (agent !== undefined) agent.offered = minus(agent.offered, offer.resources);
  const framework = state.frameworks.get(offer.frameworkId);
  if (framework === undefined) return;
  framework.offers.delete(offer.id);
  discharge(framework, offer.role, offer.resources);
}

export function offersOf(state: MasterState, framework: Framework): readonly OfferRecord[] {
  return [...framework.offers].flatMap((id) => state.offers.get(id) ?? []);
}

/** Takes an offer back and says so on the stream. */
export function rescind(step: Step, offer: OfferRecord): void {
  const framework = step.state.frameworks.get(offer.frameworkId);
  dropOffer(step.state, offer);
  step.state.history.offers.rescinded += 1;
  if (framework?.stream === undefined) return;
  const event = { type: 'RESCIND', rescind: { offer_id: { value: offer.id } } } as const;
  step.out.push({ kind: 'event', streamId: framework.stream.id, event });
}

/** Says something to an agent, if it is there. */
export function sendToAgent(step: Step, agent: Agent, message: MasterMessage): void {
  if (agent.connection === undefined) return;
  step.out.push({ kind: 'agent-message', connection: agent.connection, message });
}

function charge(framework: Framework, role: string, resources: Resources): void {
  framework.allocated.set(
    role,
    plus(framework.allocated.get(role) ?? nothing, scalarsOf(resources)),
  );
}

function discharge(framework: Framework, role: string, resources: Resources): void {
  framework.allocated.set(
    role,
    minus(framework.allocated.get(role) ?? nothing, scalarsOf(resources)),
  );
}
