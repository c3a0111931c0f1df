import { agentDisconnected, agentMessage, giveUpRecovered, watchAgents } from './agents.ts';
import { allocate } from './allocate.ts';
import { handleCall } from './calls.ts';
import { removeFramework, streamLost } from './frameworks.ts';
import { rescind } from './ledger.ts';
import {
  type MasterInput,
  type MasterOutput,
  type MasterState,
  reregisterDeadline,
  type Step,
} from './state.ts';

/**
 * The whole master as one function: what happens goes in with its time, what the master does comes
 * out. It reads no clock and draws no random number, and it changes `state` and nothing else.
 */
export function step(state: MasterState, input: MasterInput): readonly MasterOutput[] {
  const work: Step = { state, now: input.now, out: [] };
  switch (input.kind) {
    case 'tick':
      tick(work);
      break;
    case 'call':
      handleCall(work, input);
      break;
    case 'disconnected':
      streamLost(work, input.streamId);
      break;
    case 'agent-message':
      agentMessage(work, input.connection, input.message);
      break;
    case 'agent-disconnected':
      agentDisconnected(work, input.connection);
      break;
    case 'operator-teardown':
      operatorTeardown(work, input.frameworkId);
      break;
  }
  return work.out;
}

/** When the next tick has something to do, at the latest. */
export function nextTick(state: MasterState): number {
  let next = Math.min(state.nextAllocation, reregisterDeadline(state) ?? state.nextAllocation);
  for (const framework of state.frameworks.values()) {
    next = Math.min(next, framework.stream?.nextHeartbeat ?? framework.removeAt ?? next);
  }
  const { agentPingTimeoutMs, maxAgentPingTimeouts, offerTimeoutMs } = state.options;
  const patienceMs = agentPingTimeoutMs * maxAgentPingTimeouts;
  for (const agent of state.agents.values()) {
    next = Math.min(next, agent.nextPing, agent.lastPong + patienceMs);
  }
  if (offerTimeoutMs === undefined) return next;
  for (const offer of state.offers.values()) next = Math.min(next, offer.madeAt + offerTimeoutMs);
  return next;
}

function tick(work: Step): void {
  const { state, now } = work;
  for (const framework of [...state.frameworks.values()]) {
    if (framework.removeAt !== undefined && now >= framework.removeAt) {
      removeFramework(work, framework);
    } else if (framework.stream !== undefined && now >= framework.stream.nextHeartbeat) {
      framework.stream.nextHeartbeat = now + state.options.heartbeatIntervalMs;
      work.out.push({ kind: 'event', streamId: framework.stream.id, event: { type: 'HEARTBEAT' } });
    }
  }
  watchAgents(work);
  giveUpRecovered(work);
  rescindOldOffers(work);
  if (now < state.nextAllocation) return;
  state.nextAllocation = now + state.options.allocationIntervalMs;
  allocate(work, state.agents.values());
}

function rescindOldOffers(work: Step): void {
  const { offerTimeoutMs } = work.state.options;
  if (offerTimeoutMs === undefined) return;
  for (const offer of [...work.state.offers.values()]) {
    if (work.now - offer.madeAt >= offerTimeoutMs) rescind(work, offer);
  }
}

function operatorTeardown(work: Step, frameworkId: string): void {
  const framework = work.state.frameworks.get(frameworkId);
  if (framework === undefined) {
    const body = 'No framework found with specified ID';
    work.out.push({ kind: 'answer', status: 400, body });
    return;
  }
  work.out.push({ kind: 'answer', status: 200, body: '' });
  removeFramework(work, framework);
}
