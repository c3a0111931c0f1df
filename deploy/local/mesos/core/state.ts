import type {
  FrameworkInfo,
  SchedulerCall,
  SchedulerEvent,
  TaskInfo,
  TaskState,
  TaskStatus,
} from '#proto/mesos/types.ts';
import { createHistory, type History } from './history.ts';
import type { AgentMessage, AgentRegistration, MasterMessage } from './protocol.ts';
import { nothing, type Resources } from './resources.ts';

/** What a master is started with. Times are milliseconds. */
export interface MasterOptions {
  /** A uuid; framework, agent and offer ids begin with it. */
  readonly masterId: string;
  readonly ip: string;
  readonly hostname: string;
  readonly port: number;
  readonly allocationIntervalMs: number;
  readonly heartbeatIntervalMs: number;
  readonly agentPingTimeoutMs: number;
  readonly maxAgentPingTimeouts: number;
  /** Offers that are held longer are rescinded; undefined: never. */
  readonly offerTimeoutMs: number | undefined;
  /**
   * Agents that an earlier master of the same registry knew: as long as they have not come back,
   * nothing is said about what may run on them.
   */
  readonly recoveredAgents: readonly string[];
  /** After so long they are unreachable: `--agent_reregister_timeout`; default 10 min, as in Mesos. */
  readonly agentReregisterTimeoutMs?: number;
}

/** What happens to a master. Every input carries the time at which it happens. */
export type MasterInput =
  | { readonly kind: 'tick'; readonly now: number }
  /** A call of the scheduler API, whose form has been decoded. */
  | {
      readonly kind: 'call';
      readonly now: number;
      readonly call: SchedulerCall;
      /** The `Mesos-Stream-Id` header. */
      readonly streamId: string | undefined;
      /** For SUBSCRIBE: a fresh uuid, the new stream's id here and in outputs. */
      readonly newStreamId: string;
    }
  | { readonly kind: 'disconnected'; readonly now: number; readonly streamId: string }
  | {
      readonly kind: 'agent-message';
      readonly now: number;
      /** Names the agent's connection; a new one for each connection. */
      readonly connection: string;
      readonly message: AgentMessage;
    }
  | { readonly kind: 'agent-disconnected'; readonly now: number; readonly connection: string }
  | { readonly kind: 'operator-teardown'; readonly now: number; readonly frameworkId: string };

/** What a master does. */
export type MasterOutput =
  /** The one answer to a call; a SUBSCRIBE that is let in answers 200 and its stream stays open. */
  | { readonly kind: 'answer'; readonly status: number; readonly body: string }
  | { readonly kind: 'event'; readonly streamId: string; readonly event: SchedulerEvent }
  /** The stream ends cleanly. */
  | { readonly kind: 'close'; readonly streamId: string }
  | { readonly kind: 'agent-message'; readonly connection: string; readonly message: MasterMessage }
  | { readonly kind: 'close-agent'; readonly connection: string };

/** One task as the master knows it. */
export interface Task {
  readonly frameworkId: string;
  readonly agentId: string;
  readonly info: TaskInfo;
  readonly role: string;
  readonly resources: Resources;
  /** The newest state that the agent told. */
  state: TaskState;
  /** The newest status that went to the scheduler. */
  status: TaskStatus | undefined;
  readonly statuses: TaskStatus[];
  /** Its resources were given back. */
  released: boolean;
}

/** A refused part of an agent, until a time. */
export interface Filter {
  readonly refused: Resources;
  readonly until: number;
}

/** One framework that is registered, connected or not. */
export interface Framework {
  readonly id: string;
  info: FrameworkInfo;
  roles: readonly string[];
  capabilities: ReadonlySet<string>;
  stream: { readonly id: string; nextHeartbeat: number } | undefined;
  /** Known from its tasks only: no scheduler has subscribed at this master. */
  recovered: boolean;
  readonly registeredAt: number;
  reregisteredAt: number;
  /** When it is removed unless a scheduler comes back. */
  removeAt: number | undefined;
  suppressed: Set<string>;
  /** By role, then agent. */
  filters: Map<string, Map<string, Filter[]>>;
  readonly tasks: Map<string, Task>;
  /** Tasks of agents that are unreachable, and since when. */
  readonly unreachable: Map<string, Task>;
  /** The newest last, at most 1000. */
  readonly completed: Task[];
  readonly offers: Set<string>;
  /** Used and offered, by role. */
  readonly allocated: Map<string, Resources>;
}

/** One agent that is registered. */
export interface Agent {
  readonly id: string;
  registration: AgentRegistration;
  connection: string | undefined;
  total: Resources;
  used: Resources;
  offered: Resources;
  readonly registeredAt: number;
  /** Framework and task, as `taskKey` joins them. */
  readonly tasks: Map<string, Task>;
  /** Tasks to be killed, told again when the agent comes back. */
  readonly killed: Map<string, Task>;
  lastPong: number;
  nextPing: number;
}

export interface OfferRecord {
  readonly id: string;
  readonly frameworkId: string;
  readonly agentId: string;
  readonly role: string;
  readonly resources: Resources;
  readonly madeAt: number;
}

export interface MasterState {
  readonly options: MasterOptions;
  readonly startedAt: number;
  readonly frameworks: Map<string, Framework>;
  readonly completed: Map<string, Framework & { readonly unregisteredAt: number }>;
  readonly agents: Map<string, Agent>;
  /** Agent id to the time in nanoseconds since which it cannot be reached. */
  readonly unreachable: Map<string, number>;
  readonly recovered: Set<string>;
  readonly offers: Map<string, OfferRecord>;
  readonly streams: Map<string, string>;
  readonly connections: Map<string, string>;
  whole: Resources;
  nextFramework: number;
  nextAgent: number;
  nextOffer: number;
  nextAllocation: number;
  readonly history: History;
}

/** One step of the machine: what it works on and what it says. */
export interface Step {
  readonly state: MasterState;
  readonly now: number;
  readonly out: MasterOutput[];
}

export function createMaster(options: MasterOptions, now: number): MasterState {
  return {
    options,
    startedAt: now,
    frameworks: new Map(),
    completed: new Map(),
    agents: new Map(),
    unreachable: new Map(),
    recovered: new Set(options.recoveredAgents),
    offers: new Map(),
    streams: new Map(),
    connections: new Map(),
    whole: nothing,
    nextFramework: 0,
    nextAgent: 0,
    nextOffer: 0,
    nextAllocation: now + options.allocationIntervalMs,
    history: createHistory(),
  };
}

const defaultReregisterTimeoutMs = 600_000;

/** When agents of the registry that have not come back are given up; undefined: all are back. */
export function reregisterDeadline(state: MasterState): number | undefined {
  if (state.recovered.size === 0) return undefined;
  return state.startedAt + (state.options.agentReregisterTimeoutMs ?? defaultReregisterTimeoutMs);
}

/** Names one task over all frameworks; ids hold no control characters. */
export function taskKey(frameworkId: string, taskId: string): string {
  return `${frameworkId}\n${taskId}`;
}

const terminal: ReadonlySet<TaskState> = new Set([
  'TASK_FINISHED',
  'TASK_FAILED',
  'TASK_KILLED',
  'TASK_ERROR',
  'TASK_LOST',
  'TASK_DROPPED',
  'TASK_GONE',
  'TASK_GONE_BY_OPERATOR',
]);

/** Whether a task in this state has ended for good on its agent. */
export function isTerminal(state: TaskState): boolean {
  return terminal.has(state);
}
