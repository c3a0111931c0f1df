import type { SchedulerCall, SchedulerCallType } from '#proto/mesos/types.ts';
import { uncoveredOperation } from './accept.ts';
import type { MasterState } from './state.ts';

/** Why a call is refused before it does anything: status and body as a real master answers. */
export interface Refusal {
  readonly status: number;
  readonly body: string;
}

/** The field that each type of call needs. */
const needed: Readonly<Partial<Record<SchedulerCallType, keyof SchedulerCall>>> = {
  SUBSCRIBE: 'subscribe',
  ACCEPT: 'accept',
  DECLINE: 'decline',
  ACCEPT_INVERSE_OFFERS: 'accept_inverse_offers',
  DECLINE_INVERSE_OFFERS: 'decline_inverse_offers',
  KILL: 'kill',
  SHUTDOWN: 'shutdown',
  ACKNOWLEDGE: 'acknowledge',
  ACKNOWLEDGE_OPERATION_STATUS: 'acknowledge_operation_status',
  RECONCILE: 'reconcile',
  RECONCILE_OPERATIONS: 'reconcile_operations',
  MESSAGE: 'message',
  REQUEST: 'request',
  UPDATE_FRAMEWORK: 'update_framework',
};

/** Checks the form of a call: what it must hold, whose it is, and whether this Mesos knows it. */
export function callRefusal(
  state: MasterState,
  call: SchedulerCall,
  streamId: string | undefined,
): Refusal | undefined {
  const problem = formProblem(call);
  if (problem !== undefined) return badRequest(`Failed to validate scheduler::Call: ${problem}`);
  const lacking = uncovered(call);
  if (lacking !== undefined) {
    return { status: 501, body: `The local Mesos does not cover ${lacking}` };
  }
  if (call.type === 'SUBSCRIBE') {
    if (streamId === undefined) return undefined;
    return badRequest("Subscribe calls should not include the 'Mesos-Stream-Id' header");
  }
  return ownershipProblem(state, call, streamId);
}

function ownershipProblem(
  state: MasterState,
  call: SchedulerCall,
  streamId: string | undefined,
): Refusal | undefined {
  const framework = state.frameworks.get(call.framework_id?.value ?? '');
  if (framework === undefined) return badRequest('Framework cannot be found');
  if (framework.stream === undefined) return { status: 403, body: 'Framework is not subscribed' };
  if (streamId === undefined) {
    return badRequest("All non-subscribe calls should include the 'Mesos-Stream-Id' header");
  }
  if (streamId === framework.stream.id) return undefined;
  return badRequest(
    `The stream ID '${streamId}' included in this request didn't match the stream ID currently associated with framework ID ${framework.id}`,
  );
}

function badRequest(body: string): Refusal {
  return { status: 400, body };
}

function formProblem(call: SchedulerCall): string | undefined {
  if (call.type === undefined) return "Expecting 'type' to be present";
  const field = needed[call.type];
  if (call.type === 'SUBSCRIBE') {
    if (call.subscribe === undefined) return "Expecting 'subscribe' to be present";
    if (call.subscribe.framework_info.id?.value === call.framework_id?.value) return undefined;
    return "'framework_id' differs from 'subscribe.framework_info.id'";
  }
  if (call.framework_id === undefined) return "Expecting 'framework_id' to be present";
  if (field !== undefined && call[field] === undefined) return `Expecting '${field}' to be present`;
  const uuid = call.acknowledge?.uuid ?? call.acknowledge_operation_status?.uuid;
  if (uuid !== undefined && !isUuid(uuid)) return 'Not a valid UUID';
  return undefined;
}

/** Sixteen bytes that are not all zero. */
function isUuid(bytes: Uint8Array): boolean {
  return bytes.length === 16 && bytes.some((byte) => byte !== 0);
}

function uncovered(call: SchedulerCall): string | undefined {
  if (call.type === 'UNKNOWN') return 'calls of type UNKNOWN, on which a real master aborts';
  if (call.accept !== undefined && call.type === 'ACCEPT') return uncoveredOperation(call.accept);
  const subscription = call.subscribe ?? call.update_framework;
  if (subscription?.offer_constraints !== undefined) return 'offer_constraints';
  if (Object.keys(subscription?.framework_info.offer_filters ?? {}).length > 0) {
    return 'FrameworkInfo.offer_filters';
  }
  return undefined;
}
