import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { SchedulerCall, SchedulerEvent } from '#proto/mesos/types.ts';
import type { AgentMessage, MasterMessage } from './core/protocol.ts';
import {
  createMaster,
  type MasterInput,
  type MasterOptions,
  type MasterOutput,
  type MasterState,
} from './core/state.ts';
import { nextTick, step } from './core/step.ts';
import { Link } from './link.ts';
import type { Transcript } from './transcript.ts';

/** Where the events of one subscription go. */
export interface EventStream {
  open(streamId: string): void;
  event(event: SchedulerEvent): void;
  end(): void;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A way to an agent: over a socket, or in this very process for a simulated one. */
export interface AgentEnd {
  say(message: MasterMessage): void;
  end(): void;
}

const longestTickMs = 100;

/** The master core at work: real time, real connections. */
export class RunningMaster {
  readonly state: MasterState;
  readonly #streams = new Map<string, EventStream>();
  readonly #agents = new Map<string, AgentEnd>();
  readonly #timer: NodeJS.Timeout;
  readonly #registryChanged: (agents: readonly string[]) => void;
  readonly #transcript: Transcript | undefined;
  #registered = 0;
  #connections = 0;

  /** `registryChanged` hears the ids of the agents whenever they are others than before. */
  constructor(
    options: MasterOptions,
    registryChanged: (agents: readonly string[]) => void = () => {},
    transcript?: Transcript,
  ) {
    this.#registryChanged = registryChanged;
    this.#transcript = transcript;
    this.state = createMaster(options, Date.now());
    const tickMs = Math.max(1, Math.min(longestTickMs, options.allocationIntervalMs / 2));
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  /** One call. A subscription that is let in is opened on the given stream. */
  call(call: SchedulerCall, streamId: string | undefined, stream?: EventStream): Answer {
    const newStreamId = randomUUID();
    const input = { kind: 'call', now: Date.now(), call, streamId, newStreamId } as const;
    const outputs = step(this.state, input);
    const answer = answerOf(outputs);
    const subscribes = stream !== undefined && answer.status === 200;
    this.#transcript?.call(subscribes ? newStreamId : streamId, call, answer.status);
    if (stream !== undefined && answer.status === 200) {
      stream.open(newStreamId);
      this.#streams.set(newStreamId, stream);
    }
    this.#perform(outputs);
    return answer;
  }

  teardown(frameworkId: string): Answer {
    const outputs = step(this.state, { kind: 'operator-teardown', now: Date.now(), frameworkId });
    this.#perform(outputs);
    return answerOf(outputs);
  }

  /** The scheduler's side of a stream is gone. */
  streamClosed(streamId: string): void {
    if (!this.#streams.delete(streamId)) return;
    this.#apply({ kind: 'disconnected', now: Date.now(), streamId });
  }

  /** Takes an agent's connection in. */
  acceptAgent(socket: Duplex): void {
    const connection = this.#newConnection();
    const link = new Link<MasterMessage, AgentMessage>(socket, {
      heard: (message) => this.agentSaid(connection, message),
      closed: () => this.agentGone(connection),
    });
    this.#agents.set(connection, link);
  }

  /** Takes an agent of this process in; the name is for `agentSaid` and `agentGone`. */
  plugAgent(end: AgentEnd): string {
    const connection = this.#newConnection();
    this.#agents.set(connection, end);
    return connection;
  }

  agentSaid(connection: string, message: AgentMessage): void {
    if (!this.#agents.has(connection)) return;
    this.#apply({ kind: 'agent-message', now: Date.now(), connection, message });
  }

  agentGone(connection: string): void {
    if (!this.#agents.delete(connection)) return;
    this.#apply({ kind: 'agent-disconnected', now: Date.now(), connection });
  }

  /** Ends every connection. */
  stop(): void {
    clearInterval(this.#timer);
    for (const agent of this.#agents.values()) agent.end();
    for (const stream of this.#streams.values()) stream.end();
    this.#agents.clear();
    this.#streams.clear();
  }

  #tick(): void {
    const now = Date.now();
    if (nextTick(this.state) <= now) this.#apply({ kind: 'tick', now });
  }

  #newConnection(): string {
    this.#connections += 1;
    return `agent-connection-${this.#connections}`;
  }

  #apply(input: MasterInput): void {
    this.#perform(step(this.state, input));
    const { agents, recovered } = this.state;
    if (agents.size + recovered.size === this.#registered) return;
    this.#registered = agents.size + recovered.size;
    this.#registryChanged([...agents.keys(), ...recovered]);
  }

  #perform(outputs: readonly MasterOutput[]): void {
    for (const output of outputs) {
      switch (output.kind) {
        case 'answer':
          break;
        case 'event':
          // Written down first: what a scheduler does upon it must not bear an earlier time.
          this.#transcript?.event(output.streamId, output.event);
          this.#streams.get(output.streamId)?.event(output.event);
          break;
        case 'close': {
          const stream = this.#streams.get(output.streamId);
          this.#streams.delete(output.streamId);
          stream?.end();
          break;
        }
        case 'agent-message':
          this.#agents.get(output.connection)?.say(output.message);
          break;
        case 'close-agent': {
          const agent = this.#agents.get(output.connection);
          this.#agents.delete(output.connection);
          agent?.end();
          break;
        }
      }
    }
  }
}

function answerOf(outputs: readonly MasterOutput[]): Answer {
  const answer = outputs.find((output) => output.kind === 'answer');
  if (answer === undefined) throw new Error('the master answers every call');
  return { status: answer.status, body: answer.body };
}
