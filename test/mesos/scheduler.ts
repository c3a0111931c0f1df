import { Client, request } from 'undici';
import { decodeEvent, type Encoding, encodeMessage, mediaTypes } from '#proto/mesos/codec.ts';
import { RecordReader } from '#proto/mesos/record-io.ts';
import type {
  FrameworkInfo,
  Offer,
  SchedulerCall,
  SchedulerEvent,
  TaskInfo,
  TaskStatus,
} from '#proto/mesos/types.ts';
import { until } from '#test/world/until.ts';

export interface Reply {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

const mostEventBytes = 64 * 1024 * 1024;
const patienceMs = 10_000;

/** A scheduler as a test needs one: it subscribes, keeps every event, and sends calls. */
export class Scheduler {
  readonly events: SchedulerEvent[] = [];
  streamId = '';
  ended = false;
  readonly #address: string;
  readonly #encoding: Encoding;
  readonly #client: Client;
  #acknowledges: boolean;

  private constructor(address: string, encoding: Encoding, acknowledges: boolean) {
    this.#address = address;
    this.#encoding = encoding;
    this.#acknowledges = acknowledges;
    this.#client = new Client(`http://${address}`, { bodyTimeout: 0, headersTimeout: 0 });
  }

  /** Subscribes over a connection of its own; resolves with the first event. */
  static async subscribe(
    address: string,
    options: {
      readonly encoding?: Encoding;
      readonly info?: Partial<FrameworkInfo>;
      /** Acknowledges every update as it comes; default true. */
      readonly acknowledges?: boolean;
    } = {},
  ): Promise<Scheduler> {
    const { encoding = 'json', info = {}, acknowledges = true } = options;
    const scheduler = new Scheduler(address, encoding, acknowledges);
    await scheduler.#subscribe({
      user: 'root',
      name: 'test',
      failover_timeout: 60,
      checkpoint: true,
      ...info,
    });
    return scheduler;
  }

  get frameworkId(): string {
    const subscribed = this.events.find(({ type }) => type === 'SUBSCRIBED')?.subscribed;
    if (subscribed === undefined) throw new Error('not subscribed');
    return subscribed.framework_id.value;
  }

  get offers(): readonly Offer[] {
    const gone = new Set(this.events.flatMap(({ rescind }) => rescind?.offer_id.value ?? []));
    const all = this.events.flatMap(({ offers }) => offers?.offers ?? []);
    return all.filter(({ id }) => !gone.has(id.value) && !this.#used.has(id.value));
  }

  readonly #used = new Set<string>();

  /** Sends a call of this framework. */
  call(call: SchedulerCall): Promise<Reply> {
    return this.send({ framework_id: { value: this.frameworkId }, ...call });
  }

  /** Sends a call as it is. */
  async send(call: SchedulerCall): Promise<Reply> {
    return post(this.#address, {
      body: encodeMessage('SchedulerCall', call, this.#encoding),
      headers: {
        'content-type': mediaTypes[this.#encoding],
        accept: mediaTypes[this.#encoding],
        'mesos-stream-id': this.streamId,
      },
    });
  }

  /** Waits for an offer that is not used yet. */
  offer(): Promise<Offer> {
    return until(() => this.offers[0], { deadlineMs: patienceMs, what: 'an offer comes' });
  }

  /** Launches on the next offer. */
  async launch(tasks: (agentId: string) => readonly TaskInfo[], refuseSeconds = 0): Promise<Offer> {
    const offer = await this.offer();
    this.#used.add(offer.id.value);
    const operations = [
      { type: 'LAUNCH', launch: { task_infos: tasks(offer.agent_id.value) } },
    ] as const;
    const filters = { refuse_seconds: refuseSeconds };
    const reply = await this.call({
      type: 'ACCEPT',
      accept: { offer_ids: [offer.id], operations, filters },
    });
    if (reply.status !== 202) throw new Error(`ACCEPT: ${reply.status} ${reply.body}`);
    return offer;
  }

  kill(taskId: string): Promise<Reply> {
    return this.call({ type: 'KILL', kill: { task_id: { value: taskId } } });
  }

  updates(taskId: string): readonly TaskStatus[] {
    const all = this.events.flatMap(({ update }) => update?.status ?? []);
    return all.filter(({ task_id }) => task_id.value === taskId);
  }

  /** Waits until the task has been told to be in a state. */
  reached(
    taskId: string,
    state: TaskStatus['state'],
    deadlineMs = patienceMs,
  ): Promise<TaskStatus> {
    return until(() => this.updates(taskId).find((status) => status.state === state), {
      deadlineMs,
      what: `${taskId} is ${state} (so far: ${this.updates(taskId).map((one) => one.state)})`,
    });
  }

  /** Waits for what the master said of a task by itself, for this reason. */
  told(taskId: string, reason: NonNullable<TaskStatus['reason']>): Promise<TaskStatus> {
    return until(() => this.updates(taskId).find((status) => status.reason === reason), {
      deadlineMs: patienceMs,
      what: `${taskId} is told for ${reason}`,
    });
  }

  async acknowledge(status: TaskStatus): Promise<void> {
    const { uuid, agent_id, task_id } = status;
    if (uuid === undefined || agent_id === undefined) return;
    await this.call({ type: 'ACKNOWLEDGE', acknowledge: { agent_id, task_id, uuid } });
  }

  /** Breaks the stream's connection. */
  async close(): Promise<void> {
    this.#acknowledges = false;
    await this.#client.destroy();
  }

  async #subscribe(info: FrameworkInfo): Promise<void> {
    const call = {
      type: 'SUBSCRIBE',
      framework_id: info.id,
      subscribe: { framework_info: info },
    } as const;
    const response = await this.#client.request({
      method: 'POST',
      path: '/api/v1/scheduler',
      body: Buffer.from(encodeMessage('SchedulerCall', call, this.#encoding)),
      headers: { 'content-type': mediaTypes[this.#encoding], accept: mediaTypes[this.#encoding] },
    });
    if (response.statusCode !== 200) {
      throw new Error(`SUBSCRIBE: ${response.statusCode} ${await response.body.text()}`);
    }
    this.streamId = String(response.headers['mesos-stream-id']);
    const reader = new RecordReader(mostEventBytes);
    response.body.on('data', (chunk: Uint8Array) => {
      for (const record of reader.push(chunk)) this.#take(decodeEvent(record, this.#encoding));
    });
    response.body.on('end', () => {
      this.ended = true;
    });
    // A connection that the test or the master broke is told by the close alone.
    response.body.on('error', () => response.body.destroy());
    await until(() => this.events.length > 0, { deadlineMs: patienceMs, what: 'the first event' });
  }

  #take(event: SchedulerEvent): void {
    this.events.push(event);
    const status = event.update?.status;
    if (this.#acknowledges && status !== undefined) {
      // A master that is gone by now gets it when it asks again.
      this.acknowledge(status).catch(() => undefined);
    }
  }
}

/** POSTs to the scheduler path, or another. */
export async function post(
  address: string,
  options: {
    readonly path?: string;
    readonly body: Uint8Array | string;
    readonly headers: Readonly<Record<string, string>>;
    readonly method?: 'POST' | 'GET' | 'PUT' | 'DELETE';
  },
): Promise<Reply> {
  const { path = '/api/v1/scheduler', method = 'POST' } = options;
  const response = await request(`http://${address}${path}`, {
    method,
    headers: { ...options.headers },
    ...(method === 'GET' ? {} : { body: Buffer.from(options.body) }),
  });
  const body = await response.body.text();
  return { status: response.statusCode, body, headers: response.headers };
}

/** A shell task of the recordings' size. */
export function shell(
  taskId: string,
  agentId: string,
  command: string,
  more: {
    readonly cpus?: number;
    readonly command?: Partial<NonNullable<TaskInfo['command']>>;
  } & Partial<Omit<TaskInfo, 'command'>> = {},
): TaskInfo {
  const { cpus = 0.1, command: commandInfo, ...rest } = more;
  return {
    name: taskId,
    task_id: { value: taskId },
    agent_id: { value: agentId },
    resources: [
      { name: 'cpus', type: 'SCALAR', scalar: { value: cpus } },
      { name: 'mem', type: 'SCALAR', scalar: { value: 32 } },
    ],
    command: { shell: true, value: command, ...commandInfo },
    ...rest,
  };
}
