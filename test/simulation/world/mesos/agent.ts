import type { AgentMessage, MasterMessage } from '#deploy/local/mesos/core/protocol.ts';
import { nextUuid, type UuidSource, uuidSource } from '#deploy/local/mesos/core/uuid.ts';
import type { FrameworkInfo, Resource, TaskState, TaskStatus } from '#proto/mesos/types.ts';
import type { World } from '../life.ts';
import type { Random } from '../random.ts';
import {
  type AgentTask,
  firstRetryMs,
  lives,
  longestRetryMs,
  newTask,
  type TaskWeather,
} from './task.ts';

/** The way to a master: undefined while there is none. */
export interface Uplink {
  send(message: AgentMessage): void;
}

/**
 * One simulated agent: checkpointing tasks, statuses repeated until acknowledged, registration
 * again after every break. Its tasks are processes that outlive the agent's connection.
 */
export class SimAgent {
  readonly name: string;
  readonly tasks = new Map<string, AgentTask>();
  readonly weather: TaskWeather;
  readonly #world: World;
  readonly #random: Random;
  readonly #resources: readonly Resource[];
  readonly #uuids: UuidSource;
  readonly #frameworks = new Map<string, FrameworkInfo>();
  readonly #ends: ((taskId: string, running: boolean) => void)[] = [];
  #id: string | undefined;
  #uplink: Uplink | undefined;
  #registered = false;

  constructor(world: World, name: string, resources: readonly Resource[], weather: TaskWeather) {
    this.#world = world;
    this.name = name;
    this.#random = world.random.fork(`agent-${name}`);
    this.#resources = resources;
    this.weather = weather;
    this.#uuids = uuidSource(BigInt(this.#random.between(1, 2 ** 31)));
  }

  /** Hears when a task's process begins to run or has ended. */
  onTask(listener: (taskId: string, running: boolean) => void): void {
    this.#ends.push(listener);
  }

  get id(): string | undefined {
    return this.#id;
  }

  get connected(): boolean {
    return this.#uplink !== undefined;
  }

  /** Statuses that nobody has acknowledged. */
  get unacknowledged(): readonly TaskStatus[] {
    return [...this.tasks.values()].flatMap((task) => task.pending);
  }

  connect(uplink: Uplink): void {
    this.#uplink = uplink;
    this.#registered = false;
    const registration = {
      hostname: this.name,
      ip: '10.0.0.1',
      port: 5051,
      resources: this.#resources,
      attributes: [],
    };
    if (this.#id === undefined) uplink.send({ kind: 'register', registration });
    else {
      const reported = [...this.tasks.values()].filter((task) => lives(task) || task.pending[0]);
      uplink.send({
        kind: 'reregister',
        agentId: this.#id,
        registration,
        frameworks: [...this.#frameworks.values()],
        tasks: reported.map(({ frameworkId, info, role, state, last }) => ({
          frameworkId,
          task: info,
          role,
          latestState: state,
          status: last,
        })),
      });
    }
  }

  disconnect(): void {
    this.#uplink = undefined;
    this.#registered = false;
  }

  /** The machine goes down: every process with it, and the agent comes back as another. */
  lose(): void {
    for (const task of this.tasks.values()) {
      task.retry?.cancel();
      if (lives(task)) this.#told(task, false);
      task.state = 'TASK_LOST';
    }
    this.tasks.clear();
    this.#id = undefined;
  }

  hear(message: MasterMessage): void {
    switch (message.kind) {
      case 'registered':
        this.#id = message.agentId;
        this.#ready();
        return;
      case 'reregistered':
        this.#ready();
        for (const { framework, taskId } of message.missing) this.#missing(framework, taskId);
        return;
      case 'run-task':
        this.#run(message);
        return;
      case 'kill-task':
        this.#kill(message.taskId);
        return;
      case 'acknowledge':
        this.#acknowledged(message.taskId, message.uuid);
        return;
      case 'framework-updated':
        this.#resend(message.framework.id?.value ?? '');
        return;
      case 'shutdown-framework':
        this.#shutdown(message.frameworkId);
        return;
      case 'shutdown-executor':
        this.#fail(this.tasks.get(message.executorId));
        return;
      case 'ping':
        this.#uplink?.send({ kind: 'pong' });
        return;
    }
  }

  /** The process of this task ends by itself, if it is here. */
  fail(taskId: string): void {
    this.#fail(this.tasks.get(taskId));
  }

  /** A running task dies by itself. */
  failOne(): string | undefined {
    const running = [...this.tasks.values()].filter((task) => task.state === 'TASK_RUNNING');
    if (running.length === 0) return undefined;
    const task = this.#random.pick(running);
    this.#fail(task);
    return task.info.task_id.value;
  }

  #ready(): void {
    this.#registered = true;
    for (const task of this.tasks.values()) this.#sendOldest(task);
  }

  #run(message: Extract<MasterMessage, { kind: 'run-task' }>): void {
    const { framework, task: info, role } = message;
    const frameworkId = framework.id?.value ?? '';
    this.#frameworks.set(frameworkId, framework);
    const task = newTask(frameworkId, info, role);
    this.tasks.set(info.task_id.value, task);
    const startMs = this.#random.span(5, this.weather.startMs);
    const fails = this.#random.chance(this.weather.failChance);
    this.#later(task, startMs, 'TASK_STAGING', () => {
      if (fails) this.#status(task, 'TASK_FAILED', 'REASON_CONTAINER_LAUNCH_FAILED');
      else {
        this.#status(task, 'TASK_STARTING');
        this.#later(task, startMs / 10, 'TASK_STARTING', () => {
          this.#status(task, 'TASK_RUNNING');
          this.#told(task, true);
        });
      }
    });
  }

  /** Goes on only while the task is where it was. */
  #later(task: AgentTask, delayMs: number, state: TaskState, then: () => void): void {
    this.#world.time.after(delayMs, () => {
      if (this.tasks.get(task.info.task_id.value) === task && task.state === state) then();
    });
  }

  #kill(taskId: string): void {
    const task = this.tasks.get(taskId);
    if (task === undefined || !lives(task) || task.state === 'TASK_KILLING') return;
    if (task.state === 'TASK_STAGING') {
      this.#status(task, 'TASK_KILLED', 'REASON_TASK_KILLED_DURING_LAUNCH');
      return;
    }
    this.#status(task, 'TASK_KILLING');
    this.#later(task, this.#random.span(1, this.weather.graceMs), 'TASK_KILLING', () => {
      this.#status(task, 'TASK_KILLED');
      this.#told(task, false);
    });
  }

  #fail(task: AgentTask | undefined): void {
    if (task === undefined || !lives(task)) return;
    this.#status(task, 'TASK_FAILED');
    this.#told(task, false);
  }

  /** The master counted on a task that never arrived. */
  #missing(framework: FrameworkInfo, taskId: string): void {
    const frameworkId = framework.id?.value ?? '';
    this.#frameworks.set(frameworkId, framework);
    const info = { name: taskId, task_id: { value: taskId }, agent_id: { value: this.#id ?? '' } };
    const task = newTask(frameworkId, info, '*');
    this.tasks.set(taskId, task);
    this.#status(task, 'TASK_DROPPED', 'REASON_AGENT_DISCONNECTED');
  }

  #shutdown(frameworkId: string): void {
    for (const [taskId, task] of this.tasks) {
      if (task.frameworkId !== frameworkId) continue;
      task.retry?.cancel();
      if (lives(task)) this.#told(task, false);
      task.state = 'TASK_KILLED';
      this.tasks.delete(taskId);
    }
    this.#frameworks.delete(frameworkId);
  }

  #status(task: AgentTask, state: TaskState, reason?: TaskStatus['reason']): void {
    const status: TaskStatus = {
      task_id: task.info.task_id,
      state,
      agent_id: { value: this.#id ?? '' },
      executor_id: { value: task.info.task_id.value },
      source: reason === undefined ? 'SOURCE_EXECUTOR' : 'SOURCE_AGENT',
      timestamp: this.#world.time.now() / 1000,
      uuid: nextUuid(this.#uuids),
      ...(reason === undefined ? {} : { reason }),
    };
    task.state = state;
    task.pending.push(status);
    this.#world.history.note(`agent ${this.name}`, 'status', `${status.task_id.value} ${state}`);
    if (task.pending.length === 1) this.#sendOldest(task);
  }

  #sendOldest(task: AgentTask): void {
    task.retry?.cancel();
    task.retryMs = firstRetryMs;
    this.#send(task);
  }

  #send(task: AgentTask): void {
    const status = task.pending[0];
    if (status === undefined || !this.#registered) return;
    task.last = status;
    const { frameworkId, state } = task;
    this.#uplink?.send({ kind: 'update', frameworkId, status, latestState: state });
    const waitMs = task.retryMs;
    task.retryMs = Math.min(longestRetryMs, 2 * waitMs);
    task.retry = this.#world.time.after(waitMs, () => this.#send(task));
  }

  #resend(frameworkId: string): void {
    for (const task of this.tasks.values()) {
      if (task.frameworkId === frameworkId) this.#sendOldest(task);
    }
  }

  #acknowledged(taskId: string, uuid: Uint8Array): void {
    const task = this.tasks.get(taskId);
    const oldest = task?.pending[0];
    if (task === undefined || oldest?.uuid === undefined) return;
    if (Buffer.compare(oldest.uuid, uuid) !== 0) return;
    task.pending.shift();
    task.retry?.cancel();
    if (task.pending.length > 0) this.#sendOldest(task);
    else if (!lives(task)) this.tasks.delete(taskId);
  }

  #told(task: AgentTask, running: boolean): void {
    for (const listener of this.#ends) listener(task.info.task_id.value, running);
  }
}
