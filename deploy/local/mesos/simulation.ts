import { randomBytes } from 'node:crypto';
import type { AgentInput } from './core/agent-state.ts';
import type { AgentRegistration } from './core/protocol.ts';
import {
  createSimulatedAgent,
  nextSimulatedTick,
  type SimulatedAgent,
  stepSimulated,
} from './core/simulated.ts';
import type { RunningMaster } from './running-master.ts';

const tickMs = 5;

/** Agents without processes inside the master's process. */
export class SimulatedAgents {
  readonly #master: RunningMaster;
  readonly #agents: { readonly agent: SimulatedAgent; readonly connection: string }[] = [];
  readonly #inputs: {
    readonly agent: SimulatedAgent;
    readonly connection: string;
    readonly input: AgentInput;
  }[] = [];
  readonly #timer: NodeJS.Timeout;
  #draining = false;

  constructor(
    master: RunningMaster,
    options: {
      readonly registrations: readonly AgentRegistration[];
      readonly startDelayMs: number;
      readonly stopDelayMs: number;
    },
  ) {
    this.#master = master;
    for (const registration of options.registrations) this.#plug(registration, options);
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #plug(
    registration: AgentRegistration,
    delays: { readonly startDelayMs: number; readonly stopDelayMs: number },
  ): void {
    const seed = randomBytes(8).readBigUInt64BE();
    const agent = createSimulatedAgent({
      ...delays,
      registration,
      agentId: undefined,
      seed,
      recovered: [],
    });
    const connection: string = this.#master.plugAgent({
      say: (message) =>
        this.#later(agent, connection, { kind: 'message', now: Date.now(), message }),
      end: () => this.#later(agent, connection, { kind: 'disconnected', now: Date.now() }),
    });
    this.#agents.push({ agent, connection });
    this.#later(agent, connection, { kind: 'connected', now: Date.now() });
  }

  /** Never within the master's own step: its outputs keep their order. */
  #later(agent: SimulatedAgent, connection: string, input: AgentInput): void {
    this.#inputs.push({ agent, connection, input });
    if (this.#draining) return;
    this.#draining = true;
    setImmediate(() => {
      this.#draining = false;
      for (const next of this.#inputs.splice(0))
        this.#apply(next.agent, next.connection, next.input);
    });
  }

  #tick(): void {
    const now = Date.now();
    for (const { agent, connection } of this.#agents) {
      const due = nextSimulatedTick(agent);
      if (due !== undefined && due <= now) this.#apply(agent, connection, { kind: 'tick', now });
    }
  }

  #apply(agent: SimulatedAgent, connection: string, input: AgentInput): void {
    for (const message of stepSimulated(agent, input)) this.#master.agentSaid(connection, message);
  }
}
