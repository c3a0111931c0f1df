import type { OfferOperation, SchedulerCallAccept, TaskInfo } from '#proto/mesos/types.ts';
import { addFilter } from './allocate.ts';
import { addTask, dropOffer, noteAccepted, sendToAgent } from './ledger.ts';
import { fromMesos, isEmpty, minus, nothing, plus, type Resources } from './resources.ts';
import type { Agent, Framework, OfferRecord, Step, Task } from './state.ts';
import { isPartitionAware, tell } from './status.ts';
import { taskProblem } from './task-problem.ts';

/** ACCEPT: launches tasks in order on what the offers hold, and refuses the rest. */
export function accept(step: Step, framework: Framework, call: SchedulerCallAccept): void {
  const { state } = step;
  const ids = call.offer_ids?.map(({ value }) => value) ?? [];
  const good = ids.flatMap((id) => ownOffer(step, framework, id) ?? []);
  const problem = offersProblem(step, framework, ids);
  const agent = state.agents.get(good[0]?.agentId ?? '');
  const role = good[0]?.role ?? '*';
  for (const offer of good) dropOffer(state, offer);
  if (problem !== undefined || agent === undefined) {
    dropTasks(step, framework, call.operations ?? [], problem ?? 'No offers specified');
    return;
  }
  state.history.offers.accepted += good.length;
  let left = good.reduce((sum, offer) => plus(sum, offer.resources), nothing);
  for (const operation of call.operations ?? []) {
    for (const info of operation.launch?.task_infos ?? []) {
      left = launch(step, { framework, agent, role, left }, info);
    }
  }
  if (isEmpty(left)) return;
  const refuseSeconds = call.filters?.refuse_seconds;
  addFilter(step, framework, { agentId: agent.id, role, resources: left, refuseSeconds });
}

/** Names an operation that this Mesos does not know, before anything of the call is done. */
export function uncoveredOperation(call: SchedulerCallAccept): string | undefined {
  for (const operation of call.operations ?? []) {
    if (operation.type !== 'LAUNCH') return `operation ${operation.type ?? '(no type)'}`;
    for (const task of operation.launch?.task_infos ?? []) {
      const lacking = uncoveredTask(task);
      if (lacking !== undefined) return lacking;
    }
  }
  return undefined;
}

function uncoveredTask(task: TaskInfo): string | undefined {
  if (task.executor !== undefined && task.command === undefined) return 'TaskInfo.executor';
  if (task.health_check !== undefined) return 'TaskInfo.health_check';
  if (task.check !== undefined) return 'TaskInfo.check';
  return undefined;
}

function ownOffer(step: Step, framework: Framework, id: string): OfferRecord | undefined {
  const offer = step.state.offers.get(id);
  return offer?.frameworkId === framework.id ? offer : undefined;
}

function offersProblem(
  step: Step,
  framework: Framework,
  ids: readonly string[],
): string | undefined {
  if (ids.length === 0) return 'No offers specified';
  const seen = new Set<string>();
  let first: OfferRecord | undefined;
  for (const id of ids) {
    if (seen.has(id)) return `Duplicate offer ${id} in offer list`;
    seen.add(id);
  }
  for (const id of ids) {
    const offer = ownOffer(step, framework, id);
    if (offer === undefined) return `Offer ${id} is no longer valid`;
    first ??= offer;
    if (offer.role !== first.role) {
      return `Aggregated offers must be allocated to the same role. Offer ${id} uses role '${offer.role}' but another is using role '${first.role}'`;
    }
    if (offer.agentId !== first.agentId) {
      return `Aggregated offers must belong to one single agent. Offer ${id} uses agent ${offer.agentId} and agent ${first.agentId}`;
    }
  }
  return undefined;
}

function dropTasks(
  step: Step,
  framework: Framework,
  operations: readonly OfferOperation[],
  problem: string,
): void {
  for (const operation of operations) {
    for (const task of operation.launch?.task_infos ?? []) {
      tell(step, framework, {
        taskId: task.task_id.value,
        agentId: task.agent_id.value,
        state: isPartitionAware(framework) ? 'TASK_DROPPED' : 'TASK_LOST',
        reason: 'REASON_INVALID_OFFERS',
        message: `Task launched with invalid offers: ${problem}`,
      });
    }
  }
}

/** Where a launch happens and what is left for it. */
interface Place {
  readonly framework: Framework;
  readonly agent: Agent;
  readonly role: string;
  readonly left: Resources;
}

/** Launches one task or says why not; answers what is left for the next. */
function launch(step: Step, place: Place, info: TaskInfo): Resources {
  const { framework, agent, role, left } = place;
  const problem = taskProblem(info, place);
  const resources = fromMesos(info.resources ?? []);
  if (problem !== undefined || typeof resources === 'string') {
    tell(step, framework, {
      taskId: info.task_id.value,
      agentId: info.agent_id.value,
      state: 'TASK_ERROR',
      reason: 'REASON_TASK_INVALID',
      message: problem ?? `Task uses invalid resources: ${resources}`,
    });
    return left;
  }
  const task: Task = {
    frameworkId: framework.id,
    agentId: agent.id,
    info,
    role,
    resources,
    state: 'TASK_STAGING',
    status: undefined,
    statuses: [],
    released: false,
  };
  addTask(framework, agent, task);
  noteAccepted(step.state, task);
  const message = { kind: 'run-task', framework: framework.info, task: info, role } as const;
  sendToAgent(step, agent, message);
  return minus(left, resources);
}
