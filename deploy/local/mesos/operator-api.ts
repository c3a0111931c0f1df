import type { IncomingMessage, ServerResponse } from 'node:http';
import { encodeMessage, mediaTypes } from '#proto/mesos/codec.ts';
import type {
  MasterCall,
  MasterResponse,
  MasterResponseGetAgents,
  MasterResponseGetFrameworks,
  MasterResponseGetTasks,
  Task as TaskMessage,
} from '#proto/mesos/types.ts';
import { offerMessage } from './core/allocate.ts';
import { masterInfo, mesosVersion } from './core/master-info.ts';
import { toMesos } from './core/resources.ts';
import type { Framework, MasterState, Task } from './core/state.ts';
import { acceptedEncoding, BadRequest, contentEncoding, decodeBody } from './media.ts';
import type { RunningMaster } from './running-master.ts';
import { answer } from './scheduler-api.ts';

/** POST /api/v1: the operator calls that a status tool or a test needs. */
export function operatorCall(
  master: RunningMaster,
  request: IncomingMessage,
  body: Uint8Array,
  response: ServerResponse,
): void {
  const call = decodeBody('MasterCall', body, contentEncoding(request));
  const encoding = acceptedEncoding(request);
  if (call.type === undefined) {
    const reason = "Failed to validate master::Call: Expecting 'type' to be present";
    throw new BadRequest(400, reason);
  }
  if (call.type === 'TEARDOWN') {
    if (call.teardown === undefined) {
      const reason = "Failed to validate master::Call: Expecting 'teardown' to be present";
      throw new BadRequest(400, reason);
    }
    answer(response, master.teardown(call.teardown.framework_id.value));
    return;
  }
  const message = view(master.state, call);
  if (message === undefined) {
    answer(response, { status: 501, body: `The local Mesos does not cover ${call.type}` });
    return;
  }
  const bytes = encodeMessage('MasterResponse', message, encoding);
  response.writeHead(200, {
    'Content-Type': mediaTypes[encoding],
    'Content-Length': bytes.length,
  });
  response.end(bytes);
}

function view(state: MasterState, call: MasterCall): MasterResponse | undefined {
  switch (call.type) {
    case 'GET_HEALTH':
      return { type: 'GET_HEALTH', get_health: { healthy: true } };
    case 'GET_VERSION':
      return {
        type: 'GET_VERSION',
        get_version: { version_info: { version: mesosVersion } },
      };
    case 'GET_MASTER': {
      const time = state.startedAt / 1000;
      const get_master = {
        master_info: masterInfo(state.options),
        start_time: time,
        elected_time: time,
      };
      return { type: 'GET_MASTER', get_master };
    }
    case 'GET_TASKS':
      return { type: 'GET_TASKS', get_tasks: tasks(state) };
    case 'GET_AGENTS':
      return { type: 'GET_AGENTS', get_agents: agents(state) };
    case 'GET_FRAMEWORKS':
      return { type: 'GET_FRAMEWORKS', get_frameworks: frameworks(state) };
    case 'GET_STATE':
      return {
        type: 'GET_STATE',
        get_state: {
          get_tasks: tasks(state),
          get_executors: {},
          get_frameworks: frameworks(state),
          get_agents: agents(state),
        },
      };
    default:
      return undefined;
  }
}

function tasks(state: MasterState): MasterResponseGetTasks {
  const all: readonly Framework[] = [...state.frameworks.values(), ...state.completed.values()];
  return {
    tasks: all.flatMap((one) => [...one.tasks.values()].map(taskMessage)),
    unreachable_tasks: all.flatMap((one) => [...one.unreachable.values()].map(taskMessage)),
    completed_tasks: all.flatMap((one) => one.completed.map(taskMessage)),
  };
}

function taskMessage(task: Task): TaskMessage {
  const { info, status } = task;
  return {
    name: info.name,
    task_id: info.task_id,
    framework_id: { value: task.frameworkId },
    agent_id: { value: task.agentId },
    state: task.state,
    resources: toMesos(task.resources, { withRole: false, allocatedTo: task.role }),
    statuses: task.statuses,
    status_update_state: status?.state,
    status_update_uuid: status?.uuid,
    labels: info.labels,
    discovery: info.discovery,
    container: info.container,
    kill_policy: info.kill_policy,
  };
}

function agents(state: MasterState): MasterResponseGetAgents {
  const form = { withRole: true, allocatedTo: undefined };
  return {
    agents: [...state.agents.values()].map((agent) => ({
      agent_info: {
        hostname: agent.registration.hostname,
        port: agent.registration.port,
        resources: agent.registration.resources,
        attributes: agent.registration.attributes,
        id: { value: agent.id },
      },
      active: agent.connection !== undefined,
      deactivated: false,
      version: mesosVersion,
      pid: `slave(1)@${agent.registration.ip}:${agent.registration.port}`,
      registered_time: { nanoseconds: agent.registeredAt * 1_000_000 },
      total_resources: toMesos(agent.total, form),
      allocated_resources: toMesos(agent.used, form),
      offered_resources: toMesos(agent.offered, form),
    })),
    recovered_agents: [...state.recovered].map((id) => ({ hostname: '', id: { value: id } })),
  };
}

function frameworks(state: MasterState): MasterResponseGetFrameworks {
  return {
    frameworks: [...state.frameworks.values()].map((framework) => ({
      ...described(framework),
      offers: [...framework.offers].flatMap((id) => {
        const offer = state.offers.get(id);
        const agent = state.agents.get(offer?.agentId ?? '');
        if (offer === undefined || agent === undefined) return [];
        return [offerMessage(framework, agent, offer)];
      }),
    })),
    completed_frameworks: [...state.completed.values()].map((framework) => ({
      ...described(framework),
      unregistered_time: { nanoseconds: framework.unregisteredAt * 1_000_000 },
    })),
  };
}

function described(framework: Framework) {
  const connected = framework.stream !== undefined;
  return {
    framework_info: framework.info,
    active: connected,
    connected,
    recovered: framework.recovered,
    registered_time: { nanoseconds: framework.registeredAt * 1_000_000 },
    reregistered_time: { nanoseconds: framework.reregisteredAt * 1_000_000 },
  };
}
