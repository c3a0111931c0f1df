import { type ConnectionOptions, connect, type Msg, type NatsConnection } from 'nats';
import {
  type DemandAnswer,
  demandAnswer,
  demandMessages,
  encodeJson,
  type RequestMessage,
} from '#proto/messages.ts';
import { subjectsOf } from '#proto/subjects.ts';
import type { FlinkPart } from './flink.ts';

type Verb = keyof typeof demandMessages;

/** One message of the driver as it came, checked against its schema. */
export interface Heard {
  readonly verb: Verb;
  readonly at: number;
  readonly message: Readonly<Record<string, unknown>>;
}

/** A worker as the scripted demand keeps it. */
export interface ScriptedWorker {
  readonly id: string;
  readonly session: string;
  readonly n: number;
  readonly request: RequestMessage;
  state: 'wanted' | 'launching' | 'ended';
  why: string;
  confirmed: boolean;
  part?: FlinkPart;
}

/** What a script may say in place of the contract's answer; `lost`: done, but the answer does not arrive. */
export type Script = (heard: Heard) => DemandAnswer | 'lost' | undefined;

/** Stands in for `functions/demand`: answers by the contract and launches real TaskManagers. */
export interface ScriptedDemand {
  readonly heard: readonly Heard[];
  readonly workers: readonly ScriptedWorker[];
  /** Messages of this verb, repeats included. */
  count(verb: Verb): number;
  /** Asked before the contract's answer is given. */
  script: Script;
  /** Workers stay `wanted` until `launch` is called. */
  waits: boolean;
  /** Launches what waits; `tell` pushes `launched`. */
  launch(tell: boolean): void;
  /** Ends a worker that has no process. */
  end(worker: ScriptedWorker, why: string): void;
  publish(verb: 'launched' | 'ended', message: unknown): void;
  stop(): Promise<void>;
}

/** Connects and serves; `start` starts the TaskManager of a worker. */
export async function startDemand(
  server: string | ConnectionOptions,
  cluster: string,
  start: (worker: ScriptedWorker) => FlinkPart | undefined,
): Promise<ScriptedDemand> {
  const options = typeof server === 'string' ? { servers: server } : server;
  const connection = await connect({
    ...options,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
  });
  const demand = new Demand(connection, cluster, start);
  await connection.flush();
  return demand;
}

class Demand implements ScriptedDemand {
  readonly heard: Heard[] = [];
  readonly workers: ScriptedWorker[] = [];
  script: Script = () => undefined;
  waits = false;
  private session = '';
  private readonly connection: NatsConnection;
  private readonly subjects;
  private readonly start: (worker: ScriptedWorker) => FlinkPart | undefined;
  private readonly tick: NodeJS.Timeout;
  /** Numbers that were released before their request came. */
  private readonly released = new Set<string>();

  constructor(
    connection: NatsConnection,
    cluster: string,
    start: (worker: ScriptedWorker) => FlinkPart | undefined,
  ) {
    this.connection = connection;
    this.subjects = subjectsOf(cluster);
    this.start = start;
    for (const verb of Object.keys(demandMessages) as Verb[]) {
      connection.subscribe(this.subjects.demand(verb), {
        callback: (error, message) => {
          if (error) throw error;
          this.take(verb, message);
        },
      });
    }
    this.tick = setInterval(() => this.tellEnds(), 1000);
  }

  count(verb: Verb): number {
    return this.heard.filter((one) => one.verb === verb).length;
  }

  launch(tell: boolean): void {
    for (const worker of this.workers.filter(({ state }) => state === 'wanted')) {
      worker.state = 'launching';
      this.startProcess(worker);
      const { session, n, id } = worker;
      if (tell) this.publish('launched', { session, n, worker: id });
    }
  }

  end(worker: ScriptedWorker, why: string): void {
    worker.state = 'ended';
    worker.why = why;
    this.tellEnds();
  }

  publish(verb: 'launched' | 'ended', message: unknown): void {
    this.connection.publish(this.subjects.demand(verb), encodeJson(message));
  }

  async stop(): Promise<void> {
    clearInterval(this.tick);
    await this.connection.close();
  }

  private take(verb: Verb, message: Msg): void {
    const body = demandMessages[verb].parse(message.json());
    const heard: Heard = { verb, at: Date.now(), message: body };
    // A confirmation of nothing asks whether the session still holds Flink's side.
    const looks = verb === 'confirm' && demandMessages.confirm.parse(body).workers.length === 0;
    if (!looks) this.heard.push(heard);
    const scripted = this.script(heard);
    const answer = scripted === undefined || scripted === 'lost' ? this.contract(heard) : scripted;
    if (scripted === 'lost') return;
    message.respond(encodeJson(demandAnswer.parse(answer)));
  }

  private contract(heard: Heard): DemandAnswer {
    const body = heard.message;
    if (heard.verb === 'recover') return this.recover(String(body.session));
    if (body.session !== this.session) return { status: 'superseded' };
    if (heard.verb === 'request') return this.request(demandMessages.request.parse(body));
    if (heard.verb === 'release') this.release(demandMessages.release.parse(body));
    if (heard.verb === 'confirm') {
      for (const id of demandMessages.confirm.parse(body).workers) {
        for (const worker of this.workers) if (worker.id === id) worker.confirmed = true;
      }
    }
    return { status: 'ok' };
  }

  private recover(session: string): DemandAnswer {
    this.session = session;
    const live = this.workers.filter(({ state }) => state === 'launching');
    return { status: 'ok', workers: live.map(({ id }) => ({ id, state: 'running' })) };
  }

  private request(request: RequestMessage): DemandAnswer {
    const { session, n } = request;
    let worker = this.workers.find((one) => one.session === session && one.n === n);
    if (!worker) {
      const id = `taskmanager-${String(this.workers.length + 1).padStart(5, '0')}`;
      worker = { id, session, n, request, state: 'wanted', why: '', confirmed: false };
      this.workers.push(worker);
      if (this.released.has(`${session}-${n}`)) this.end(worker, 'released before');
      else if (!this.waits) this.launch(false);
    }
    return { status: 'ok', worker: worker.id, state: worker.state };
  }

  private release(release: { worker?: string | undefined; n?: number | undefined }): void {
    const worker = this.workers.find(
      (one) => one.id === release.worker || (one.session === this.session && one.n === release.n),
    );
    if (!worker) this.released.add(`${this.session}-${release.n}`);
    else if (worker.part) worker.part.kill('SIGTERM');
    else if (worker.state !== 'ended') this.end(worker, 'released');
  }

  private startProcess(worker: ScriptedWorker): void {
    const part = this.start(worker);
    if (!part) return;
    worker.part = part;
    void part.ended.then((code) => this.end(worker, `exited with ${code}`));
  }

  private tellEnds(): void {
    if (this.connection.isClosed()) return;
    for (const { id, state, confirmed, why } of this.workers) {
      if (state === 'ended' && !confirmed) {
        this.publish('ended', { session: this.session, worker: id, why });
      }
    }
  }
}
