import type { AgentMessage, MasterMessage } from '#deploy/local/mesos/core/protocol.ts';
import { parseResources, toMesos } from '#deploy/local/mesos/core/resources.ts';
import {
  createSimulatedAgent,
  type SimulatedAgent,
  stepSimulated,
} from '#deploy/local/mesos/core/simulated.ts';
import {
  createMaster,
  type MasterInput,
  type MasterOptions,
  type MasterState,
} from '#deploy/local/mesos/core/state.ts';
import { step } from '#deploy/local/mesos/core/step.ts';
import type {
  FrameworkInfo,
  Offer,
  SchedulerCall,
  SchedulerEvent,
  TaskInfo,
  TaskStatus,
} from '#proto/mesos/types.ts';

export const defaultResources = 'cpus:4;mem:4096;disk:10240;ports:[31000-31999]';

/** An agent of the rig and its way to the master. */
export interface RigAgent {
  readonly simulated: SimulatedAgent;
  connection: string | undefined;
}

/** A scheduler's stream as it was received. */
export interface RigStream {
  readonly id: string;
  readonly frameworkId: string;
  readonly events: { readonly at: number; readonly event: SchedulerEvent }[];
  closed: boolean;
}

export interface RigAnswer {
  readonly status: number;
  readonly body: string;
}

/** Master and agents under a clock that the test moves; nothing here takes real time. */
export class Rig {
  now = 1_000_000;
  readonly master: MasterState;
  readonly agents: RigAgent[] = [];
  readonly streams = new Map<string, RigStream>();
  /** Every acknowledgement that reaches an agent is lost while this is set. */
  loseAcknowledgements = false;
  #names = 0;
  #queue: (() => void)[] = [];

  constructor(options: Partial<MasterOptions> = {}) {
    this.master = createMaster(
      {
        masterId: 'M',
        ip: '127.0.0.1',
        hostname: '127.0.0.1',
        port: 5050,
        allocationIntervalMs: 1000,
        heartbeatIntervalMs: 15_000,
        agentPingTimeoutMs: 1000,
        maxAgentPingTimeouts: 3,
        offerTimeoutMs: undefined,
        recoveredAgents: [],
        ...options,
      },
      this.now,
    );
  }

  addAgent(resources = defaultResources): RigAgent {
    const simulated = createSimulatedAgent({
      registration: {
        hostname: '127.0.0.1',
        ip: '127.0.0.1',
        port: 5051,
        resources: toMesos(parseResources(resources), { withRole: false, allocatedTo: undefined }),
        attributes: [],
      },
      agentId: undefined,
      seed: BigInt(this.agents.length + 1),
      recovered: [],
      startDelayMs: 10,
      stopDelayMs: 10,
    });
    const agent: RigAgent = { simulated, connection: undefined };
    this.agents.push(agent);
    this.connect(agent);
    return agent;
  }

  connect(agent: RigAgent): void {
    this.#names += 1;
    agent.connection = `connection-${this.#names}`;
    this.#agent(agent, { kind: 'connected', now: this.now });
    this.#settle();
  }

  /** The connection breaks; both sides know. */
  disconnect(agent: RigAgent): void {
    const { connection } = agent;
    agent.connection = undefined;
    this.#agent(agent, { kind: 'disconnected', now: this.now });
    if (connection !== undefined) {
      this.#master({ kind: 'agent-disconnected', now: this.now, connection });
    }
    this.#settle();
  }

  /** Subscribes; the stream may be closed already when it was refused. */
  subscribe(
    info: Partial<FrameworkInfo> = {},
    more: { readonly suppressed_roles?: readonly string[] } = {},
  ): RigStream {
    const framework_info = {
      user: 'root',
      name: 'test',
      failover_timeout: 60,
      checkpoint: true,
      ...info,
    };
    const subscribe = { framework_info, ...more };
    return this.open({ type: 'SUBSCRIBE', framework_id: info.id, subscribe }).stream;
  }

  /** Sends a SUBSCRIBE call as it is. */
  open(
    call: SchedulerCall,
    streamId?: string,
  ): { readonly stream: RigStream; readonly answer: RigAnswer } {
    this.#names += 1;
    const id = `stream-${this.#names}`;
    const next = `${this.master.options.masterId}-${String(this.master.nextFramework).padStart(4, '0')}`;
    const frameworkId = call.subscribe?.framework_info.id?.value ?? next;
    const stream: RigStream = { id, frameworkId, events: [], closed: false };
    this.streams.set(id, stream);
    return { stream, answer: this.send(call, streamId, id) };
  }

  call(stream: RigStream, call: SchedulerCall): RigAnswer {
    const owned = { framework_id: { value: stream.frameworkId }, ...call };
    return this.send(owned, stream.id);
  }

  /** Sends a call as it is. */
  send(call: SchedulerCall, streamId: string | undefined, newStreamId = 'no stream'): RigAnswer {
    const outputs = this.#master({ kind: 'call', now: this.now, call, streamId, newStreamId });
    const answer = outputs.find((output) => output.kind === 'answer');
    this.#settle();
    return { status: answer?.status ?? 0, body: answer?.body ?? '' };
  }

  /** A task's process ends by itself. */
  exit(agent: RigAgent, taskId: string, code: number): void {
    const { state, now } = { state: agent.simulated.agent, now: this.now };
    for (const { framework, task, containerId } of state.tasks.values()) {
      if (task.task_id.value !== taskId) continue;
      const frameworkId = framework.id?.value ?? '';
      const event = { frameworkId, taskId, containerId, event: 'exited', code } as const;
      this.#agent(agent, { kind: 'executor', now, event });
    }
    this.#settle();
  }

  /** An agent says that it is no more. */
  unregister(agent: RigAgent): void {
    this.#toMaster(agent, { kind: 'unregister' });
    this.#settle();
  }

  /** The scheduler's connection is gone. */
  drop(stream: RigStream): void {
    stream.closed = true;
    this.#master({ kind: 'disconnected', now: this.now, streamId: stream.id });
    this.#settle();
  }

  /** Moves the clock, in small steps. */
  advance(ms: number, stepMs = 10): void {
    const end = this.now + ms;
    while (this.now < end) {
      this.now = Math.min(end, this.now + stepMs);
      this.#master({ kind: 'tick', now: this.now });
      for (const agent of this.agents) this.#agent(agent, { kind: 'tick', now: this.now });
      this.#settle();
    }
  }

  /** The offers that the stream holds. */
  offers(stream: RigStream): readonly Offer[] {
    const all = stream.events.flatMap(({ event }) => event.offers?.offers ?? []);
    return all.filter(({ id }) => this.master.offers.has(id.value));
  }

  updates(stream: RigStream, taskId?: string): readonly TaskStatus[] {
    const all = stream.events.flatMap(({ event }) => event.update?.status ?? []);
    return all.filter((status) => taskId === undefined || status.task_id.value === taskId);
  }

  /** Launches on the first offer that is held. */
  launch(stream: RigStream, tasks: readonly TaskInfo[], refuseSeconds = 0): void {
    const [offer] = this.offers(stream);
    if (offer === undefined) throw new Error('no offer is held');
    this.accept(stream, [offer.id.value], tasks, refuseSeconds);
  }

  accept(
    stream: RigStream,
    offerIds: readonly string[],
    tasks: readonly TaskInfo[],
    refuseSeconds = 0,
  ): void {
    const operations = [{ type: 'LAUNCH', launch: { task_infos: tasks } }] as const;
    this.call(stream, {
      type: 'ACCEPT',
      accept: {
        offer_ids: offerIds.map((value) => ({ value })),
        operations,
        filters: { refuse_seconds: refuseSeconds },
      },
    });
  }

  acknowledge(stream: RigStream, status: TaskStatus): void {
    const { uuid, agent_id, task_id } = status;
    if (uuid === undefined || agent_id === undefined) return;
    this.call(stream, { type: 'ACKNOWLEDGE', acknowledge: { agent_id, task_id, uuid } });
  }

  /** Acknowledges whatever has come, until nothing new comes. */
  acknowledgeAll(stream: RigStream): void {
    for (let n = 0; n < stream.events.length; n += 1) {
      const status = stream.events[n]?.event.update?.status;
      if (status !== undefined) this.acknowledge(stream, status);
    }
  }

  #master(input: MasterInput): ReturnType<typeof step> {
    const outputs = step(this.master, input);
    for (const output of outputs) {
      if (output.kind === 'event') {
        const { event } = output;
        this.streams.get(output.streamId)?.events.push({ at: this.now, event });
      }
      if (output.kind === 'close') {
        const stream = this.streams.get(output.streamId);
        if (stream !== undefined) stream.closed = true;
      }
      if (output.kind === 'agent-message') this.#toAgent(output.connection, output.message);
    }
    return outputs;
  }

  #toAgent(connection: string, message: MasterMessage): void {
    if (this.loseAcknowledgements && message.kind === 'acknowledge') return;
    this.#queue.push(() => {
      const agent = this.agents.find((one) => one.connection === connection);
      if (agent !== undefined) this.#agent(agent, { kind: 'message', now: this.now, message });
    });
  }

  #agent(agent: RigAgent, input: Parameters<typeof stepSimulated>[1]): void {
    for (const message of stepSimulated(agent.simulated, input)) this.#toMaster(agent, message);
  }

  #toMaster(agent: RigAgent, message: AgentMessage): void {
    const { connection } = agent;
    if (connection === undefined) return;
    this.#queue.push(() => {
      this.#master({ kind: 'agent-message', now: this.now, connection, message });
    });
  }

  #settle(): void {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) next();
  }
}

/** A task of the recordings' size, for one agent. */
export function task(taskId: string, agentId: string, cpus = 0.1): TaskInfo {
  return {
    name: taskId,
    task_id: { value: taskId },
    agent_id: { value: agentId },
    resources: [
      { name: 'cpus', type: 'SCALAR', scalar: { value: cpus } },
      { name: 'mem', type: 'SCALAR', scalar: { value: 32 } },
    ],
    command: { shell: true, value: 'true' },
  };
}
