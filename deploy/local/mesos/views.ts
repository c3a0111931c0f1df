import type { Attribute, TaskStatus } from '#proto/mesos/types.ts';
import { masterInfo, mesosVersion } from './core/master-info.ts';
import { nothing, plus, type Resources, shownRanges } from './core/resources.ts';
import type { Agent, Framework, MasterState, OfferRecord, Task } from './core/state.ts';

type Json = Readonly<Record<string, unknown>>;

/** GET /version. */
export function versionView(): Json {
  return { version: mesosVersion };
}

/** GET /tasks: all tasks of all frameworks, also those that have ended, with their statuses. */
export function tasksView(state: MasterState): readonly Json[] {
  return allFrameworks(state).flatMap((framework) => [
    ...framework.completed.map(taskView),
    ...[...framework.unreachable.values()].map(taskView),
    ...[...framework.tasks.values()].map(taskView),
  ]);
}

/** GET /slaves. */
export function agentsView(state: MasterState): Json {
  const recovered = [...state.recovered].map((id) => ({ id }));
  return { slaves: [...state.agents.values()].map(agentView), recovered_slaves: recovered };
}

/** GET /frameworks. */
export function frameworksView(state: MasterState): Json {
  return {
    frameworks: [...state.frameworks.values()].map((one) => frameworkView(state, one)),
    completed_frameworks: [...state.completed.values()].map((one) => ({
      ...frameworkView(state, one),
      unregistered_time: one.unregisteredAt / 1000,
    })),
    unregistered_frameworks: [],
  };
}

/** GET /state. */
export function stateView(state: MasterState): Json {
  const { options, agents } = state;
  const active = [...agents.values()].filter(({ connection }) => connection !== undefined).length;
  const info = masterInfo(options);
  const started = state.startedAt / 1000;
  return {
    ...versionView(),
    start_time: started,
    elected_time: started,
    id: options.masterId,
    pid: info.pid,
    hostname: options.hostname,
    activated_slaves: active,
    deactivated_slaves: agents.size - active,
    unreachable_slaves: state.unreachable.size,
    leader: info.pid,
    leader_info: { id: info.id, pid: info.pid, port: info.port, hostname: info.hostname },
    ...agentsView(state),
    ...frameworksView(state),
    orphan_tasks: [],
  };
}

/** GET /local/history: what a test wants to know afterwards. */
export function historyView(state: MasterState): Json {
  const { launches, updates, offers } = state.history;
  return {
    launches: Object.fromEntries(
      [...launches].map(([id, tasks]) => [id, Object.fromEntries(tasks)]),
    ),
    updates,
    offers,
  };
}

function allFrameworks(state: MasterState): readonly Framework[] {
  return [...state.completed.values(), ...state.frameworks.values()];
}

function taskView(task: Task): Json {
  const { info } = task;
  return {
    id: info.task_id.value,
    name: info.name,
    framework_id: task.frameworkId,
    executor_id: '',
    slave_id: task.agentId,
    state: task.state,
    resources: amounts(task.resources),
    role: task.role,
    statuses: task.statuses.map(statusView),
    ...(info.labels?.labels === undefined ? {} : { labels: info.labels.labels }),
    ...(info.discovery === undefined ? {} : { discovery: info.discovery }),
  };
}

function statusView(status: TaskStatus): Json {
  return {
    state: status.state,
    timestamp: status.timestamp,
    ...(status.container_status === undefined ? {} : { container_status: status.container_status }),
    ...(status.healthy === undefined ? {} : { healthy: status.healthy }),
    ...(status.reason === undefined ? {} : { reason: status.reason }),
    ...(status.message === undefined ? {} : { message: status.message }),
  };
}

function agentView(agent: Agent): Json {
  const { hostname, ip, port, attributes } = agent.registration;
  const active = agent.connection !== undefined;
  return {
    id: agent.id,
    hostname,
    port,
    attributes: Object.fromEntries(attributes.map((one) => [one.name, attributeValue(one)])),
    pid: `slave(1)@${ip}:${port}`,
    registered_time: agent.registeredAt / 1000,
    resources: amounts(agent.total),
    used_resources: amounts(agent.used),
    offered_resources: amounts(agent.offered),
    reserved_resources: {},
    unreserved_resources: amounts(agent.total),
    active,
    deactivated: !active,
    version: mesosVersion,
  };
}

function attributeValue(attribute: Attribute): unknown {
  if (attribute.text !== undefined) return attribute.text.value;
  if (attribute.scalar !== undefined) return attribute.scalar.value;
  if (attribute.ranges !== undefined) return shownRanges(attribute.ranges.range ?? []);
  return `{${(attribute.set?.item ?? []).join(', ')}}`;
}

function frameworkView(state: MasterState, framework: Framework): Json {
  const { info } = framework;
  const connected = framework.stream !== undefined;
  const multiRole = framework.capabilities.has('MULTI_ROLE');
  const held = [...framework.offers].flatMap((id) => state.offers.get(id) ?? []);
  const used = [...framework.tasks.values()].filter(({ released }) => !released);
  return {
    id: framework.id,
    name: info.name,
    used_resources: amounts(sum(used)),
    offered_resources: amounts(sum(held)),
    capabilities: [...framework.capabilities],
    hostname: info.hostname ?? '',
    webui_url: info.webui_url ?? '',
    active: connected,
    connected,
    recovered: framework.recovered,
    user: info.user,
    failover_timeout: info.failover_timeout ?? 0,
    checkpoint: info.checkpoint ?? false,
    registered_time: framework.registeredAt / 1000,
    reregistered_time: framework.reregisteredAt / 1000,
    unregistered_time: 0,
    ...(multiRole ? { roles: framework.roles } : { role: framework.roles[0] ?? '*' }),
    suppressed_roles: [...framework.suppressed],
    tasks: [...framework.tasks.values()].map(taskView),
    unreachable_tasks: [...framework.unreachable.values()].map(taskView),
    completed_tasks: framework.completed.map(taskView),
    offers: held.map(offerView),
    executors: [],
  };
}

function offerView(offer: OfferRecord): Json {
  return {
    id: offer.id,
    framework_id: offer.frameworkId,
    allocation_info: { role: offer.role },
    slave_id: offer.agentId,
    resources: amounts(offer.resources),
  };
}

function sum(holders: readonly { readonly resources: Resources }[]): Resources {
  return holders.reduce((total, { resources }) => plus(total, resources), nothing);
}

/** Numbers by name, and ranges as a text; the four usual scalars are always there. */
function amounts(resources: Resources): Json {
  const always = { disk: 0, mem: 0, gpus: 0, cpus: 0 };
  const scalars = [...resources.scalars].map(([name, amount]) => [name, amount / 1000]);
  const ranges = [...resources.ranges].map(([name, list]) => [name, shownRanges(list)]);
  return { ...always, ...Object.fromEntries([...scalars, ...ranges]) };
}
