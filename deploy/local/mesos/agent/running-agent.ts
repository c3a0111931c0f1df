import { randomBytes } from 'node:crypto';
import { nextAgentTick, stepAgent } from '../core/agent.ts';
import {
  type AgentInput,
  type AgentOutput,
  type AgentState,
  createAgent,
  referenceOf,
  type TaskReference,
} from '../core/agent-state.ts';
import type { AgentRegistration } from '../core/protocol.ts';
import { Launcher } from './launcher.ts';
import { type MasterAddress, MasterConnection } from './master-connection.ts';
import type { WorkDirectory } from './paths.ts';
import { forgetAll, remembered, saveIdentity, saveTask } from './records.ts';

const tickMs = 50;
const stopGraceMs = 3_000;

/** The agent core at work: a connection to the master, real processes, a work directory. */
export class RunningAgent {
  readonly state: AgentState;
  readonly #directory: WorkDirectory;
  readonly #launcher: Launcher;
  readonly #master: MasterConnection;
  readonly #timer: NodeJS.Timeout;
  #registered: () => void = () => {};
  /** Resolves when a master has let this agent in for the first time. */
  readonly registered: Promise<void>;

  constructor(options: {
    readonly directory: WorkDirectory;
    readonly registration: AgentRegistration;
    readonly switchUser: boolean;
    readonly master: MasterAddress;
  }) {
    const { directory, registration, switchUser } = options;
    this.#directory = directory;
    this.#master = new MasterConnection(options.master, {
      connected: () => this.#apply({ kind: 'connected', now: Date.now() }),
      heard: (message) => {
        this.#apply({ kind: 'message', now: Date.now(), message });
        if (this.state.registered) this.#registered();
      },
      disconnected: () => this.#apply({ kind: 'disconnected', now: Date.now() }),
    });
    const { agentId, tasks: found } = remembered(directory);
    const tasks = found.filter((record) => record.framework.checkpoint === true);
    const seed = randomBytes(8).readBigUInt64BE();
    this.state = createAgent({ registration, agentId, seed, recovered: tasks });
    const tell = (event: Extract<AgentInput, { kind: 'executor' }>['event']): void =>
      this.#apply({ kind: 'executor', now: Date.now(), event });
    this.#launcher = new Launcher({ directory, registration, switchUser, tell });
    this.registered = new Promise((resolve) => {
      this.#registered = resolve;
    });
    for (const record of tasks) {
      if (record.phase !== 'ended') void this.#launcher.adopt(record);
    }
    for (const record of found) if (!tasks.includes(record)) this.#abandon(referenceOf(record));
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#master.open();
  }

  /** Ends all tasks, tells the master that this agent is no more, and forgets its id. */
  async stop(): Promise<void> {
    this.#master.stop();
    this.#master.say({ kind: 'unregister' });
    const running = [...this.state.tasks.values()].filter(({ phase }) => phase !== 'ended');
    for (const frameworkId of new Set(running.map(({ framework }) => framework.id?.value ?? ''))) {
      const message = { kind: 'shutdown-framework', frameworkId } as const;
      this.#apply({ kind: 'message', now: Date.now(), message });
    }
    const deadline = Date.now() + stopGraceMs;
    while (this.#alive() && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, tickMs));
    }
    for (const { framework, task, containerId } of this.state.tasks.values()) {
      const ids = { frameworkId: framework.id?.value ?? '', taskId: task.task_id.value };
      this.#launcher.signal({ ...ids, containerId }, 'SIGKILL');
    }
    this.leave();
    forgetAll(this.#directory);
  }

  /** Stops without touching the tasks: the next agent on the same work directory finds them. */
  leave(): void {
    clearInterval(this.#timer);
    this.#master.end();
  }

  /** A task of a framework without `checkpoint` does not outlive its agent. */
  #abandon(reference: TaskReference): void {
    this.#launcher.signal(reference, 'SIGKILL');
    saveTask(this.#directory, reference, undefined);
  }

  #alive(): boolean {
    return [...this.state.tasks.values()].some(({ phase }) => phase === 'running');
  }

  #tick(): void {
    const now = Date.now();
    const due = nextAgentTick(this.state);
    if (due !== undefined && due <= now) this.#apply({ kind: 'tick', now });
  }

  #apply(input: AgentInput): void {
    for (const output of stepAgent(this.state, input)) this.#perform(output);
  }

  #perform(output: AgentOutput): void {
    switch (output.kind) {
      case 'send':
        this.#master.say(output.message);
        break;
      case 'launch':
        void this.#launcher.launch(this.state.agentId ?? '', output.record);
        break;
      case 'signal':
        this.#launcher.signal(output.reference, output.signal);
        break;
      case 'cancel':
        this.#launcher.cancel(output.reference);
        break;
      case 'persist':
        saveTask(this.#directory, output.reference, output.record);
        break;
      case 'identity':
        saveIdentity(this.#directory, output.agentId);
        break;
    }
  }
}
