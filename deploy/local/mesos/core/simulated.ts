import { nextAgentTick, stepAgent } from './agent.ts';
import {
  type AgentInput,
  type AgentOptions,
  type AgentState,
  createAgent,
  type ExecutorEvent,
  type TaskReference,
} from './agent-state.ts';
import type { AgentMessage } from './protocol.ts';

/** An agent whose tasks are timers instead of processes. */
export interface SimulatedAgent {
  readonly agent: AgentState;
  readonly startDelayMs: number;
  readonly stopDelayMs: number;
  /** What the imagined processes do next, in order of time. */
  readonly due: { readonly at: number; readonly event: ExecutorEvent }[];
}

export function createSimulatedAgent(
  options: AgentOptions & { readonly startDelayMs: number; readonly stopDelayMs: number },
): SimulatedAgent {
  const { startDelayMs, stopDelayMs } = options;
  return { agent: createAgent(options), startDelayMs, stopDelayMs, due: [] };
}

/** The agent's step and that of its imagined processes: what it says to the master comes out. */
export function stepSimulated(
  simulated: SimulatedAgent,
  input: AgentInput,
): readonly AgentMessage[] {
  const messages = settle(simulated, input);
  while ((simulated.due[0]?.at ?? Number.POSITIVE_INFINITY) <= input.now) {
    const next = simulated.due.shift();
    if (next === undefined) break;
    const event = { kind: 'executor', now: input.now, event: next.event } as const;
    messages.push(...settle(simulated, event));
  }
  return messages;
}

/** When the next tick has something to do. */
export function nextSimulatedTick(simulated: SimulatedAgent): number | undefined {
  const own = nextAgentTick(simulated.agent);
  const process = simulated.due[0]?.at;
  if (own === undefined) return process;
  return process === undefined ? own : Math.min(own, process);
}

function settle(simulated: SimulatedAgent, input: AgentInput): AgentMessage[] {
  const { startDelayMs, stopDelayMs } = simulated;
  const messages: AgentMessage[] = [];
  for (const output of stepAgent(simulated.agent, input)) {
    if (output.kind === 'send') messages.push(output.message);
    if (output.kind === 'launch') {
      const { record } = output;
      const reference: TaskReference = {
        frameworkId: record.framework.id?.value ?? '',
        taskId: record.task.task_id.value,
        containerId: record.containerId,
      };
      const executor = { pid: 1, startedAt: 'simulated' };
      schedule(simulated, input.now + startDelayMs, { ...reference, event: 'started', executor });
    }
    if (output.kind === 'signal') {
      const signal = output.signal === 'SIGTERM' ? 15 : 9;
      const event = { ...output.reference, event: 'signalled', signal } as const;
      schedule(simulated, input.now + stopDelayMs, event);
    }
  }
  return messages;
}

function schedule(simulated: SimulatedAgent, at: number, event: ExecutorEvent): void {
  const { due } = simulated;
  const last = due.at(-1);
  if (last !== undefined && last.at > at) {
    const place = due.findIndex((other) => other.at > at);
    due.splice(place, 0, { at, event });
    return;
  }
  due.push({ at, event });
}
