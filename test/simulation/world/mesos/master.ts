import type { AgentMessage } from '#deploy/local/mesos/core/protocol.ts';
import {
  createMaster,
  type MasterInput,
  type MasterOutput,
  type MasterState,
} from '#deploy/local/mesos/core/state.ts';
import { step } from '#deploy/local/mesos/core/step.ts';
import { nextUuid, uuidSource, uuidText } from '#deploy/local/mesos/core/uuid.ts';
import type { SchedulerCall, SchedulerEvent } from '#proto/mesos/types.ts';
import type { World } from '../life.ts';
import { Pipe } from '../pipe.ts';
import type { Random } from '../random.ts';
import type { SimAgent } from './agent.ts';

/** How quick and how honest the way to Mesos is; the faults change it while it runs. */
export interface MesosWeather {
  latencyMs: number;
  /** How often the outcome of a call is not known: done, not done, or done late. */
  doubtChance: number;
  /** How often something on the way repeats an ACCEPT that was answered. */
  doubleChance: number;
  /** How often a message between master and agent is lost. */
  agentLossChance: number;
  /** How often an ACKNOWLEDGE is lost between master and agent. */
  acknowledgeLossChance: number;
}

/** Where the events of one subscription go. */
export interface StreamEnd {
  /** The answer to SUBSCRIBE, before any event. */
  answered(answer: SubscribeAnswer): void;
  event(event: SchedulerEvent): void;
  closed(): void;
}

export interface CallAnswer {
  readonly status: number;
  readonly body: string;
}

export interface SubscribeAnswer extends CallAnswer {
  readonly streamId: string;
}

interface Cable {
  readonly agent: SimAgent;
  readonly up: Pipe;
  readonly down: Pipe;
}

const tickMs = 200;

/** The local Mesos' master core in the simulated world: one master after the other, and their agents. */
export class SimMesos {
  readonly weather: MesosWeather;
  readonly agents: readonly SimAgent[];
  readonly #world: World;
  readonly #random: Random;
  readonly #uuid: () => string;
  readonly #streams = new Map<string, StreamEnd>();
  readonly #cables = new Map<string, Cable>();
  readonly #away = new Set<SimAgent>();
  readonly #removed = new Set<string>();
  readonly #onCall: ((call: SchedulerCall, answer: CallAnswer) => void)[] = [];
  readonly #onInput: (() => void)[] = [];
  /** All masters that ever led, the present one last. */
  readonly masters: MasterState[] = [];
  #up = false;
  #connections = 0;

  constructor(world: World, agents: readonly SimAgent[], weather: MesosWeather) {
    this.#world = world;
    this.#random = world.random.fork('mesos');
    this.weather = weather;
    this.agents = agents;
    const source = uuidSource(BigInt(this.#random.between(1, 2 ** 31)));
    this.#uuid = () => uuidText(nextUuid(source));
    this.#lead([]);
    this.#tick();
  }

  /** The master that leads; undefined while there is none. */
  get master(): MasterState | undefined {
    return this.#up ? this.masters.at(-1) : undefined;
  }

  /** Hears every call that a master has taken or refused. */
  onCall(listener: (call: SchedulerCall, answer: CallAnswer) => void): void {
    this.#onCall.push(listener);
  }

  /** Called after every input of the master. */
  onInput(listener: () => void): void {
    this.#onInput.push(listener);
  }

  /** A call as it reaches the master; `repeated`: not by us. Undefined: nobody is there. */
  call(
    call: SchedulerCall,
    streamId: string | undefined,
    end?: StreamEnd,
    repeated = false,
  ): CallAnswer | undefined {
    const master = this.master;
    if (master === undefined) return undefined;
    const newStreamId = this.#uuid();
    if (end !== undefined) this.#streams.set(newStreamId, end);
    const now = this.#world.time.now();
    const outputs = step(master, { kind: 'call', now, call, streamId, newStreamId });
    const found = outputs.find((output) => output.kind === 'answer');
    const answer = { status: found?.status ?? 500, body: found?.body ?? '' };
    this.#world.history.note(
      'mesos',
      String(call.type),
      `${answer.status} ${named(call)} ${answer.body}`,
    );
    if (answer.status !== 200) this.#streams.delete(newStreamId);
    end?.answered({ ...answer, streamId: newStreamId });
    for (const listener of repeated ? [] : this.#onCall) listener(call, answer);
    this.#perform(outputs);
    return answer;
  }

  /** A scheduler's connection is gone and the master has noticed. */
  disconnected(streamId: string): void {
    this.#streams.delete(streamId);
    this.#input({ kind: 'disconnected', now: this.#world.time.now(), streamId });
  }

  /** The leading master dies; another leads after a while, with what the registry kept or with nothing. */
  failover(downMs: number, registry: boolean): void {
    const master = this.master;
    if (master === undefined) return;
    this.#up = false;
    const kind = registry ? 'master failover' : 'master failover without registry';
    this.#world.history.note('fault', kind, `${downMs} ms`);
    for (const [, end] of this.#streams) end.closed();
    this.#streams.clear();
    for (const [connection] of this.#cables) this.#unplug(connection);
    const known = registry ? [...master.agents.keys(), ...master.recovered] : [];
    this.#world.time.after(downMs, () => {
      // One that is gone for good would be waited for: this core knows no limit for that.
      const there = new Set(this.agents.map((agent) => agent.id));
      this.#lead(known.filter((id) => there.has(id)));
    });
  }

  #lead(recoveredAgents: readonly string[]): void {
    const { time, history } = this.#world;
    this.masters.push(
      createMaster(
        {
          masterId: this.#uuid(),
          ip: '10.0.0.1',
          hostname: 'master',
          port: 5050,
          allocationIntervalMs: 1000,
          heartbeatIntervalMs: 15_000,
          agentPingTimeoutMs: 3000,
          maxAgentPingTimeouts: 3,
          offerTimeoutMs: undefined,
          recoveredAgents,
        },
        time.now(),
      ),
    );
    this.#up = true;
    history.note('mesos', 'leads', `master ${this.masters.length}`);
    // Agents come back to a new master one by one, some of them late.
    const mostMs = this.masters.length === 1 ? 800 : this.#random.pick([800, 20_000]);
    for (const agent of this.agents) this.#plugLater(agent, mostMs);
  }

  /** An operator removes the framework that stands, and looks again until it is gone. */
  removeFramework(): void {
    for (const id of this.master?.frameworks.keys() ?? []) {
      this.#removed.add(id);
      this.#world.history.note('fault', 'framework removed', id);
    }
    this.#removeAgain();
  }

  /** A master that was elected since learns from its agents of what was removed before. */
  #removeAgain(): void {
    for (const frameworkId of this.master?.frameworks.keys() ?? []) {
      if (!this.#removed.has(frameworkId)) continue;
      this.#input({ kind: 'operator-teardown', now: this.#world.time.now(), frameworkId });
    }
  }

  /** The agent's connection breaks; it comes back by itself. */
  cutAgent(agent: SimAgent, durationMs: number): void {
    if (this.#away.has(agent)) return;
    this.#world.history.note('fault', 'agent cut off', `${agent.name} ${durationMs} ms`);
    this.#leave(agent, durationMs);
  }

  /** The agent's machine dies with all tasks; a new agent comes in its place. */
  loseAgent(agent: SimAgent, durationMs: number): void {
    const awaited = agent.id !== undefined && this.master?.recovered.has(agent.id) === true;
    if (this.#away.has(agent) || awaited) return;
    this.#world.history.note('fault', 'agent lost', `${agent.name} ${durationMs} ms`);
    agent.lose();
    this.#leave(agent, durationMs);
  }

  #leave(agent: SimAgent, durationMs: number): void {
    this.#away.add(agent);
    for (const [connection, cable] of this.#cables) {
      if (cable.agent === agent) this.#unplug(connection);
    }
    this.#world.time.after(durationMs, () => {
      this.#away.delete(agent);
      this.#plugLater(agent);
    });
  }

  #plugLater(agent: SimAgent, mostMs = 800): void {
    this.#world.time.after(this.#random.span(10, mostMs), () => {
      if (!agent.connected && !this.#away.has(agent) && this.#up) this.#plug(agent);
    });
  }

  #plug(agent: SimAgent): void {
    this.#connections += 1;
    const connection = `${agent.name}-${this.#connections}`;
    const latency = () => this.weather.latencyMs;
    const up = new Pipe(this.#world, this.#random.fork(`${connection}-up`), latency);
    const down = new Pipe(this.#world, this.#random.fork(`${connection}-down`), latency);
    this.#cables.set(connection, { agent, up, down });
    agent.connect({ send: (message) => this.#fromAgent(connection, up, message) });
  }

  #unplug(connection: string): void {
    const cable = this.#cables.get(connection);
    if (cable === undefined) return;
    this.#cables.delete(connection);
    cable.up.cut();
    cable.down.cut();
    cable.agent.disconnect();
    if (!this.#up) return;
    this.#world.time.after(this.#random.span(0, 20), () => {
      this.#input({ kind: 'agent-disconnected', now: this.#world.time.now(), connection });
    });
  }

  #fromAgent(connection: string, up: Pipe, message: AgentMessage): void {
    if (message.kind === 'update' && this.#random.chance(this.weather.agentLossChance)) {
      this.#world.history.note('fault', 'update lost on its way', connection);
      return;
    }
    up.send(() =>
      this.#input({ kind: 'agent-message', now: this.#world.time.now(), connection, message }),
    );
  }

  #tick(): void {
    this.#world.time.after(tickMs, () => {
      this.#input({ kind: 'tick', now: this.#world.time.now() });
      this.#removeAgain();
      this.#tick();
    });
  }

  #input(input: MasterInput): void {
    const master = this.master;
    if (master !== undefined) this.#perform(step(master, input));
  }

  #perform(outputs: readonly MasterOutput[]): void {
    for (const output of outputs) {
      if (output.kind === 'event') this.#streams.get(output.streamId)?.event(output.event);
      else if (output.kind === 'close') {
        this.#streams.get(output.streamId)?.closed();
        this.#streams.delete(output.streamId);
      } else if (output.kind === 'agent-message') this.#toAgent(output);
      else if (output.kind === 'close-agent') this.#rejected(output.connection);
    }
    for (const listener of this.#onInput) listener();
  }

  #toAgent({ connection, message }: Extract<MasterOutput, { kind: 'agent-message' }>): void {
    const cable = this.#cables.get(connection);
    if (cable === undefined) return;
    if (this.#isLost(message.kind)) {
      this.#world.history.note('fault', `${message.kind} lost on its way`, cable.agent.name);
      return;
    }
    cable.down.send(() => cable.agent.hear(message));
  }

  #isLost(kind: string): boolean {
    if (kind === 'kill-task') return this.#random.chance(this.weather.agentLossChance);
    if (kind !== 'acknowledge') return false;
    const { agentLossChance, acknowledgeLossChance } = this.weather;
    return this.#random.chance(Math.max(agentLossChance, acknowledgeLossChance));
  }

  #rejected(connection: string): void {
    const agent = this.#cables.get(connection)?.agent;
    this.#unplug(connection);
    if (agent !== undefined) this.#plugLater(agent);
  }
}

/** What a call is about, for the time line and the digest. */
function named(call: SchedulerCall): string {
  const tasks = call.accept?.operations?.flatMap((operation) =>
    (operation.launch?.task_infos ?? []).map((task) => task.task_id.value),
  );
  const ids = [
    ...(tasks ?? []),
    ...(call.accept?.offer_ids ?? call.decline?.offer_ids ?? []).map((id) => id.value.slice(-8)),
    call.kill?.task_id.value,
    call.acknowledge?.task_id.value,
    ...(call.reconcile?.tasks ?? []).map((task) => task.task_id.value),
    call.type === 'SUBSCRIBE' ? call.framework_id?.value : undefined,
  ];
  return ids.filter((id) => id !== undefined).join(' ');
}
