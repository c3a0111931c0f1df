import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeCall, decodeEvent } from '#proto/mesos/codec.ts';
import type { Offer, SchedulerCall, SchedulerEvent } from '#proto/mesos/types.ts';
import { Rig, type RigStream } from './rig.ts';

/** One line of a transcript, as far as a replay needs it. */
interface Line {
  readonly ts: string;
  readonly kind: string;
  readonly conn?: string;
  readonly stream?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly status?: number;
  readonly body_text?: string;
  readonly how?: string;
  readonly text?: string;
}

/** How far from its recorded time an event may come: one allocation run, and what a machine takes. */
const toleranceMs = 1500;
const quickTaskMs = 150;

interface Seen {
  readonly at: number;
  readonly event: SchedulerEvent | undefined;
  readonly offer: Offer | undefined;
}

/**
 * Plays the scheduler of a recording against the master's core, call by call at the recorded times,
 * and collects what is not as recorded. Ids of offers and updates may differ, nothing else.
 */
export class Replay {
  readonly differences: string[] = [];
  /** Events that were as recorded. */
  matched = 0;
  readonly #rig: Rig;
  readonly #lines: readonly Line[];
  readonly #streams = new Map<string, RigStream>();
  readonly #streamIds = new Map<string, string>();
  readonly #offerIds = new Map<string, string>();
  readonly #uuids = new Map<string, Uint8Array>();
  readonly #unmatched = new Map<RigStream, { read: number; readonly seen: Seen[] }>();
  readonly #answers = new Map<string, { readonly status: number; readonly body: string }>();
  readonly #ends: { readonly at: number; readonly taskId: string; readonly code: number }[] = [];
  readonly #begun: number;

  /** @param until the note at which the replay ends, for what this Mesos does not cover. */
  constructor(recording: string, until?: string) {
    const file = join(import.meta.dirname, '../recordings', recording, 'transcript.jsonl');
    const lines = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
    const end = lines.findIndex(
      ({ text }) => until !== undefined && text?.startsWith(until) === true,
    );
    this.#lines = end < 0 ? lines : lines.slice(0, end);
    const offerTimeoutMs = recording.startsWith('10b') ? 4000 : undefined;
    this.#rig = new Rig({ masterId: this.#masterId(), offerTimeoutMs });
    this.#begun = this.#rig.now;
  }

  run(): this {
    const first = Date.parse(this.#lines[0]?.ts ?? '');
    this.#meetAgents();
    for (const line of this.#lines) this.#play(line, this.#begun + Date.parse(line.ts) - first);
    for (const { seen } of this.#unmatched.values()) {
      for (const { event } of seen) if (event !== undefined) this.#differ('not recorded', event);
    }
    return this;
  }

  #masterId(): string {
    const offers = JSON.stringify(
      this.#lines.find(({ stream, body }) => stream && JSON.stringify(body).includes('-O0')) ?? {},
    );
    return /([0-9a-f-]{36})-O0/.exec(offers)?.[1] ?? 'M';
  }

  /** The agents of the recording, each with the resources of its first offer, in the order of their ids. */
  #meetAgents(): void {
    const [first] = this.#recordedOffers();
    if (first !== undefined) this.#rig.addAgent(resourcesOf(first));
  }

  #recordedOffers(): readonly Offer[] {
    return this.#lines.flatMap((line) =>
      line.kind === 'event' ? (eventOf(line).offers?.offers ?? []) : [],
    );
  }

  #play(line: Line, at: number): void {
    switch (line.kind) {
      case 'request':
        this.#advanceTo(at);
        this.#request(line);
        break;
      case 'response':
        this.#response(line);
        break;
      case 'event':
        for (const part of parts(eventOf(line))) this.#expect(line, part, at);
        break;
      case 'closed':
        this.#closed(line);
        break;
      case 'note':
        if (line.text?.includes('SIGUSR1') === true) this.#unregisterLast();
        break;
    }
  }

  #request(line: Line): void {
    if (line.path?.endsWith('/scheduler') !== true || line.body === null) return;
    const call = decodeCall(Buffer.from(JSON.stringify(this.#translate(line.body))), 'json');
    const header = line.headers?.['Mesos-Stream-Id'];
    const streamId = header === undefined ? undefined : (this.#streamIds.get(header) ?? header);
    const conn = line.conn ?? '';
    if (call.type === 'SUBSCRIBE') {
      const { stream, answer } = this.#rig.open(call, streamId);
      this.#streams.set(conn, stream);
      this.#unmatched.set(stream, { read: 0, seen: [] });
      this.#answers.set(conn, answer);
      return;
    }
    this.#answers.set(conn, this.#rig.send(this.#withUuid(call), streamId));
    this.#foreseeEnds(call);
  }

  #response(line: Line): void {
    const conn = line.conn ?? '';
    const answer = this.#answers.get(conn);
    if (answer === undefined) return;
    this.#answers.delete(conn);
    const stream = this.#streams.get(conn);
    const recordedId = line.headers?.['Mesos-Stream-Id'];
    if (stream !== undefined && recordedId !== undefined)
      this.#streamIds.set(recordedId, stream.id);
    let body = line.body_text ?? '';
    for (const [recorded, own] of this.#streamIds) body = body.replaceAll(recorded, own);
    if (answer.status !== line.status || answer.body !== body) {
      this.differences.push(
        `answered ${answer.status} ${answer.body}, recorded ${line.status} ${body}`,
      );
    }
  }

  #closed(line: Line): void {
    const stream = this.#streams.get(line.conn ?? '');
    if (stream === undefined) return;
    if (line.how === 'closed by this side') this.#rig.drop(stream);
    else if (!stream.closed) this.differences.push(`${line.conn}: the stream should have ended`);
  }

  /** Waits for the event that was recorded, a little if need be. */
  #expect(line: Line, part: Seen, at: number): void {
    const stream = this.#streams.get(line.conn ?? '');
    if (stream === undefined || part.event?.type === 'HEARTBEAT') return;
    if (part.offer !== undefined) this.#meet(part.offer);
    for (;;) {
      const own = this.#take(stream, part);
      if (own !== undefined) {
        if (Math.abs(own.at - at) > toleranceMs) {
          this.differences.push(`${own.at - at} ms from its time: ${this.#shown(part)}`);
        }
        this.matched += 1;
        return;
      }
      if (this.#rig.now > at + toleranceMs) break;
      this.#advanceTo(this.#rig.now + 10);
    }
    this.differences.push(`missing: ${this.#shown(part)}`);
  }

  /** The first event of ours that is as recorded; its ids stand for the recorded ones from now on. */
  #take(stream: RigStream, part: Seen): Seen | undefined {
    const list = this.#unmatched.get(stream);
    if (list === undefined) return undefined;
    const fresh = stream.events.slice(list.read);
    list.read = stream.events.length;
    for (const { at, event } of fresh) {
      if (event.type !== 'HEARTBEAT') list.seen.push(...parts(event, at));
    }
    const wanted = this.#shown(part);
    const index = list.seen.findIndex((own) => shown(own) === wanted);
    const [own] = index < 0 ? [] : list.seen.splice(index, 1);
    if (own?.offer !== undefined && part.offer !== undefined) {
      this.#offerIds.set(part.offer.id.value, own.offer.id.value);
    }
    const [recorded, given] = [part.event?.update?.status.uuid, own?.event?.update?.status.uuid];
    if (recorded !== undefined && given !== undefined) {
      this.#uuids.set(Buffer.from(recorded).toString('hex'), given);
    }
    return own;
  }

  /** A recorded event with the offer ids of this run. */
  #shown(part: Seen): string {
    return shown(part).replace(/[0-9a-f-]{36}-O\d+/g, (id) => this.#offerIds.get(id) ?? id);
  }

  #meet(offer: Offer): void {
    const known = this.#rig.agents.some(
      ({ simulated }) => simulated.agent.agentId === offer.agent_id.value,
    );
    if (!known) this.#rig.addAgent(resourcesOf(offer));
  }

  #unregisterLast(): void {
    const agent = this.#rig.agents.at(-1);
    if (agent === undefined) return;
    this.#rig.unregister(agent);
    agent.connection = undefined;
  }

  #advanceTo(time: number): void {
    while (this.#rig.now < time) {
      this.#rig.advance(Math.min(10, time - this.#rig.now));
      for (const end of this.#ends.filter(({ at }) => at <= this.#rig.now)) {
        this.#ends.splice(this.#ends.indexOf(end), 1);
        for (const agent of this.#rig.agents) this.#rig.exit(agent, end.taskId, end.code);
      }
    }
  }

  /** The recorded tasks are `sleep N` or end at once: here their ends are made. */
  #foreseeEnds(call: SchedulerCall): void {
    for (const operation of call.accept?.operations ?? []) {
      for (const { task_id, command } of operation.launch?.task_infos ?? []) {
        const text = command?.value ?? '';
        const seconds = Number(/^sleep (\d+)$/.exec(text)?.[1] ?? 0);
        if (seconds >= 1000) continue;
        const at = this.#rig.now + quickTaskMs + seconds * 1000;
        const code = Number(/^exit (\d+)$/.exec(text)?.[1] ?? 0);
        this.#ends.push({ at, taskId: task_id.value, code });
      }
    }
  }

  #translate(body: unknown): unknown {
    const text = JSON.stringify(body);
    return JSON.parse(text.replace(/[0-9a-f-]{36}-O\d+/g, (id) => this.#offerIds.get(id) ?? id));
  }

  #withUuid(call: SchedulerCall): SchedulerCall {
    if (call.acknowledge === undefined) return call;
    const own = this.#uuids.get(Buffer.from(call.acknowledge.uuid).toString('hex'));
    return own === undefined ? call : { ...call, acknowledge: { ...call.acknowledge, uuid: own } };
  }

  #differ(what: string, event: SchedulerEvent): void {
    this.differences.push(`${what}: ${shown({ at: 0, event, offer: event.offers?.offers?.[0] })}`);
  }
}

function eventOf(line: Line): SchedulerEvent {
  return decodeEvent(Buffer.from(JSON.stringify(line.body)), 'json');
}

/** An OFFERS event is compared offer by offer. */
function parts(event: SchedulerEvent, at = 0): readonly Seen[] {
  const offers = event.offers?.offers;
  if (offers === undefined) return [{ at, event, offer: undefined }];
  return offers.map((offer) => ({ at, event: undefined, offer }));
}

function resourcesOf(offer: Offer): string {
  return (offer.resources ?? [])
    .map(({ name, scalar, ranges }) => {
      const list = (ranges?.range ?? []).map(({ begin, end }) => `${begin}-${end}`);
      return `${name}:${scalar?.value ?? `[${list.join(',')}]`}`;
    })
    .join(';');
}

/** What must be as recorded, on one line. */
function shown({ event, offer }: Seen): string {
  if (offer !== undefined) {
    const { resources, allocation_info, executor_ids } = offer;
    const held = (resources ?? []).map((one) =>
      JSON.stringify({ ...one, scalar: one.scalar?.value }),
    );
    return `OFFER ${offer.agent_id.value} ${held.sort().join()} ${JSON.stringify([allocation_info, executor_ids])}`;
  }
  if (event?.update !== undefined) {
    const { status } = event.update;
    return [
      'UPDATE',
      ...[status.task_id.value, status.state, status.source, status.reason, status.message],
      ...[status.agent_id?.value, status.executor_id?.value, status.healthy],
      status.uuid === undefined ? 'no uuid' : 'uuid',
      status.container_status === undefined ? 'no container' : 'container',
    ].join(' ');
  }
  if (event?.rescind !== undefined) return `RESCIND ${event.rescind.offer_id.value}`;
  if (event?.subscribed !== undefined) {
    const { framework_id, heartbeat_interval_seconds, master_info } = event.subscribed;
    return `SUBSCRIBED ${framework_id.value} ${heartbeat_interval_seconds} ${JSON.stringify(master_info)}`;
  }
  return JSON.stringify(event);
}
