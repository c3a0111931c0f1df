import { execFile } from 'node:child_process';
import { appendFileSync, chownSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  type ExecutorEvent,
  referenceOf,
  type TaskRecord,
  type TaskReference,
} from '../core/agent-state.ts';
import type { AgentRegistration } from '../core/protocol.ts';
import { argumentsOf, environmentOf } from './command.ts';
import { adoptExecutor, executorIn, signalTaskSoon, startExecutor, type User } from './executor.ts';
import { Fetcher } from './fetcher.ts';
import { makeSandbox, sandboxOf, type WorkDirectory } from './paths.ts';

const run = promisify(execFile);
/** An executor that was started in the agent's last moment has named its task by then. */
const settleMs = 300;

type Tell = (event: ExecutorEvent) => void;

/** Why a task cannot run here; `lost` is the agent's fault. */
class LaunchRefused extends Error {
  readonly lost: boolean;
  readonly reason: 'REASON_CONTAINER_LAUNCH_FAILED' | 'REASON_EXECUTOR_TERMINATED';

  constructor(message: string, reason: LaunchRefused['reason'], lost = false) {
    super(message);
    this.reason = reason;
    this.lost = lost;
  }
}

/** Turns launches into processes: sandbox, files, environment, executor. */
export class Launcher {
  readonly #directory: WorkDirectory;
  readonly #registration: AgentRegistration;
  readonly #switchUser: boolean;
  readonly #fetcher: Fetcher;
  readonly #fetching = new Map<string, AbortController>();
  readonly #tell: Tell;

  constructor(options: {
    readonly directory: WorkDirectory;
    readonly registration: AgentRegistration;
    /** Tasks run as the user that they name; needs root. */
    readonly switchUser: boolean;
    readonly tell: Tell;
  }) {
    this.#directory = options.directory;
    this.#registration = options.registration;
    this.#switchUser = options.switchUser;
    this.#tell = options.tell;
    this.#fetcher = new Fetcher(options.directory.cache);
  }

  /** Starts a task; what becomes of it is told. */
  async launch(agentId: string, record: TaskRecord): Promise<void> {
    const reference = referenceOf(record);
    const controller = new AbortController();
    this.#fetching.set(record.containerId, controller);
    try {
      await this.#start(agentId, record, controller.signal);
    } catch (error) {
      if (controller.signal.aborted) return;
      const refused =
        error instanceof LaunchRefused
          ? error
          : new LaunchRefused(launchFailed(error), 'REASON_CONTAINER_LAUNCH_FAILED');
      const { message, reason, lost } = refused;
      this.#tell({ ...reference, event: 'refused', message, reason, lost });
    } finally {
      this.#fetching.delete(record.containerId);
    }
  }

  /** Stops a launch that has not come to a process yet. */
  cancel(reference: TaskReference): void {
    this.#fetching.get(reference.containerId)?.abort();
  }

  signal(reference: TaskReference, signal: NodeJS.Signals): void {
    signalTaskSoon(this.#directory.container(reference.containerId), signal);
  }

  /** Takes over what an earlier agent process had started, or learns how it ended. */
  async adopt(record: TaskRecord): Promise<void> {
    const reference = referenceOf(record);
    const meta = this.#directory.container(record.containerId);
    let { executor } = record;
    if (record.phase === 'launching') {
      await new Promise((resolve) => setTimeout(resolve, settleMs));
      executor = executorIn(meta);
    }
    if (executor === undefined) {
      this.#tell({ ...reference, event: 'vanished' });
      return;
    }
    if (record.phase === 'launching') this.#tell({ ...reference, event: 'started', executor });
    adoptExecutor(executor, meta, (end) => this.#tell({ ...reference, ...end }));
  }

  async #start(agentId: string, record: TaskRecord, signal: AbortSignal): Promise<void> {
    const reference = referenceOf(record);
    const sandbox = sandboxOf(this.#directory.root, agentId, record);
    refuseContainers(record);
    const user = await this.#userOf(record, sandbox);
    makeSandbox(sandbox);
    if (user !== undefined) chownSync(sandbox, user.uid, user.gid);
    await this.#fetch(record, sandbox, signal);
    if (user !== undefined) await run('chown', ['-R', `${user.uid}:${user.gid}`, sandbox]);
    signal.throwIfAborted();
    const inherited = process.env;
    const place = { agentId, registration: this.#registration, sandbox, inherited };
    const environment = environmentOf(record, place);
    const argv = argumentsOf(record.task.command ?? {}, environment.PATH);
    const meta = this.#directory.container(record.containerId);
    const executor = startExecutor({ argv, environment, sandbox, meta, user }, (end) =>
      this.#tell({ ...reference, ...end }),
    );
    this.#tell({ ...reference, event: 'started', executor });
  }

  async #fetch(record: TaskRecord, sandbox: string, signal: AbortSignal): Promise<void> {
    const log = (line: string): void => appendFileSync(join(sandbox, 'stderr'), `${line}\n`);
    try {
      await this.#fetcher.fetchAll(record.task.command?.uris ?? [], { sandbox, signal, log });
    } catch (error) {
      log(error instanceof Error ? error.message : String(error));
      const message = `Failed to launch container: Failed to fetch all URIs for container '${record.containerId}': exited with status 1`;
      throw new LaunchRefused(message, 'REASON_CONTAINER_LAUNCH_FAILED');
    }
  }

  async #userOf(record: TaskRecord, sandbox: string): Promise<User | undefined> {
    const name = record.task.command?.user ?? record.framework.user;
    if (!this.#switchUser || name === '' || name === 'root') return undefined;
    try {
      const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      const message = `Failed to create executor directory '${sandbox}': Failed to chown directory to '${name}': No such user '${name}'`;
      throw new LaunchRefused(message, 'REASON_EXECUTOR_TERMINATED', true);
    }
  }
}

function launchFailed(error: unknown): string {
  return `Failed to launch container: ${error instanceof Error ? error.message : String(error)}`;
}

/** What an agent without a docker containerizer and without isolators answers. */
function refuseContainers(record: TaskRecord): void {
  const { container } = record.task;
  if (container === undefined) return;
  if (container.type === 'DOCKER') {
    const message = 'Abnormal executor termination: unknown container';
    throw new LaunchRefused(message, 'REASON_EXECUTOR_TERMINATED');
  }
  const image = container.mesos?.image;
  if (image !== undefined) throw new Error(`Unsupported container image type: ${image.type}`);
  if ((container.volumes ?? []).length > 0) {
    throw new Error('Volumes in ContainerInfo is not supported');
  }
}
