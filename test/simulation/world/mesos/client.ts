import type { Mesos, Stream, StreamListener } from '#gateway/mesos/mesos.ts';
import { SubscribeError } from '#gateway/mesos/mesos.ts';
import { decodeCall, encodeEvent } from '#proto/mesos/codec.ts';
import type { SchedulerCall, SchedulerEvent } from '#proto/mesos/types.ts';
import type { CallOutcome } from '#proto/messages.ts';
import { type Life, never } from '../life.ts';
import { Pipe } from '../pipe.ts';
import type { Random } from '../random.ts';
import type { SimMesos, StreamEnd, SubscribeAnswer } from './master.ts';

/** After so long without an answer the outcome of a call is not known. */
const callTimeoutMs = 10_000;

/** Mesos as one gateway sees it: a stream of events, and two connections for calls. */
export class SimMesosClient implements Mesos {
  readonly #mesos: SimMesos;
  readonly #life: Life;
  readonly #random: Random;
  readonly #lanes: Record<'ordered' | 'other', Pipe>;
  #standing: { readonly end: ClientStream; readonly streamId: string } | undefined;
  #cut = false;

  constructor(mesos: SimMesos, life: Life) {
    this.#mesos = mesos;
    this.#life = life;
    this.#random = life.random.fork('mesos');
    this.#lanes = { ordered: this.#pipe('ordered'), other: this.#pipe('other') };
    life.onDeath(() => this.#hangUp(this.#random.span(0, 50)));
  }

  subscribe(call: SchedulerCall, listener: StreamListener): Promise<Stream> {
    const sent = this.#life.effect('SUBSCRIBE', () => this.#subscribe(call, listener));
    if (sent === undefined || !this.#life.alive) {
      sent?.catch(() => undefined);
      return never();
    }
    return sent;
  }

  #subscribe(call: SchedulerCall, listener: StreamListener): Promise<Stream> {
    return new Promise((resolve, reject) => {
      const end = new ClientStream(this.#life, this.#pipe('events'), listener, {
        refused: reject,
        opened: (streamId) => {
          const close = () => this.#close(end, streamId);
          resolve({ streamId, close });
        },
        stands: (streamId) => {
          this.#standing = { end, streamId };
          if (!this.#life.alive) this.#hangUp(0);
        },
      });
      this.#pipe('subscribe').send(() => {
        const there = !this.#cut && this.#mesos.call(call, undefined, end) !== undefined;
        if (!there) end.unreachable();
      });
    });
  }

  #close(end: ClientStream, streamId: string): void {
    end.cut();
    this.#life.world.time.after(this.#random.span(0, 5), () => this.#mesos.disconnected(streamId));
  }

  call(streamId: string, bytes: Uint8Array, ordered: boolean): Promise<CallOutcome> {
    const call = decodeCall(bytes, 'protobuf');
    const sent = this.#life.effect(String(call.type), () => this.#call(streamId, call, ordered));
    if (sent === undefined || !this.#life.alive) return never();
    return sent;
  }

  #call(streamId: string, call: SchedulerCall, ordered: boolean): Promise<CallOutcome> {
    const lane = ordered ? this.#lanes.ordered : this.#lanes.other;
    const { time } = this.#life.world;
    return new Promise((resolve) => {
      const tell = (outcome: CallOutcome, afterMs: number) =>
        time.after(afterMs, () => this.#life.deliver(() => resolve(outcome)));
      lane.send(() => {
        if (this.#random.chance(this.#mesos.weather.doubtChance)) {
          const afterMs = this.#doubt(streamId, call);
          tell({ outcome: 'unknown', message: 'the connection broke' }, afterMs);
          return;
        }
        const backMs = this.#random.span(0.05, this.#mesos.weather.latencyMs);
        const answer = this.#cut ? undefined : this.#mesos.call(call, streamId);
        if (answer !== undefined) this.#double(call, streamId);
        if (answer === undefined) {
          tell({ outcome: 'refused', message: 'the master cannot be reached' }, backMs);
        } else tell(outcomeOf(answer), backMs);
      });
    });
  }

  /** Something on the way sends an ACCEPT again: its offers are used by then. */
  #double(call: SchedulerCall, streamId: string): void {
    const { doubleChance } = this.#mesos.weather;
    if (call.type !== 'ACCEPT' || !this.#random.chance(doubleChance)) return;
    const { time, history } = this.#life.world;
    time.after(this.#random.span(1, this.#random.pick([50, 5000, 60_000])), () => {
      history.note('fault', 'ACCEPT repeated', this.#life.name);
      this.#mesos.call(call, streamId, undefined, true);
    });
  }

  /** Done and the answer is lost, never done, or done long after we gave it up. */
  #doubt(streamId: string, call: SchedulerCall): number {
    const { time, history } = this.#life.world;
    const fate = this.#random.pick(['done', 'not done', 'done late'] as const);
    const late = this.#random.chance(0.3);
    history.note('fault', 'outcome unknown', `${call.type} of ${this.#life.name}: ${fate}`);
    if (fate === 'done') this.#mesos.call(call, streamId);
    if (fate === 'done late') {
      const lateMs = this.#random.span(1, callTimeoutMs);
      time.after(lateMs, () => this.#mesos.call(call, streamId));
    }
    return late ? callTimeoutMs : this.#random.span(1, 500);
  }

  /** The way to the master breaks for so long: the stream ends, calls are refused. */
  cut(durationMs: number): void {
    if (this.#cut || !this.#life.alive) return;
    this.#cut = true;
    this.#life.world.history.note('fault', 'mesos cut', `${this.#life.name} ${durationMs} ms`);
    const end = this.#standing?.end;
    this.#hangUp(this.#random.span(0, 2000));
    this.#life.deliver(() => end?.broke());
    this.#life.world.time.after(durationMs, () => {
      this.#cut = false;
    });
  }

  /** Events stop coming though the connection seems to stand: only the watchdog notices. */
  stall(durationMs: number): void {
    this.#standing?.end.stall(durationMs);
    this.#life.world.history.note('fault', 'mesos stall', `${this.#life.name} ${durationMs} ms`);
  }

  /** The master notices after a while. */
  #hangUp(noticeMs: number): void {
    const standing = this.#standing;
    if (standing === undefined) return;
    this.#standing = undefined;
    standing.end.cut();
    const { time } = this.#life.world;
    time.after(noticeMs, () => this.#mesos.disconnected(standing.streamId));
  }

  #pipe(name: string): Pipe {
    const latency = () => this.#mesos.weather.latencyMs;
    return new Pipe(this.#life.world, this.#random.fork(name), latency);
  }
}

/** Who waits for what becomes of a SUBSCRIBE. */
interface Subscriber {
  /** At the master: the subscription stands, whether or not the gateway ever hears of it. */
  stands(streamId: string): void;
  opened(streamId: string): void;
  refused(error: SubscribeError): void;
}

/** The events of one subscription on their way to a gateway. */
class ClientStream implements StreamEnd {
  readonly #life: Life;
  readonly #pipe: Pipe;
  readonly #listener: StreamListener;
  readonly #subscriber: Subscriber;
  #opened = false;

  constructor(life: Life, pipe: Pipe, listener: StreamListener, subscriber: Subscriber) {
    this.#life = life;
    this.#pipe = pipe;
    this.#listener = listener;
    this.#subscriber = subscriber;
  }

  answered({ status, body, streamId }: SubscribeAnswer): void {
    if (status === 200) this.#subscriber.stands(streamId);
    this.#hand(() => {
      this.#opened = status === 200;
      if (this.#opened) this.#subscriber.opened(streamId);
      else this.#subscriber.refused(new SubscribeError(body, { status, body }));
    });
  }

  unreachable(): void {
    this.#hand(() => this.#subscriber.refused(unreachable()));
  }

  event(event: SchedulerEvent): void {
    const bytes = encodeEvent(event, 'protobuf');
    this.#hand(() => this.#listener.event(bytes));
  }

  closed(): void {
    this.#hand(() => this.#listener.closed());
  }

  /** Told outside the pipe, which is cut. */
  broke(): void {
    if (this.#opened) this.#listener.closed(new Error('the connection to the master broke'));
    else this.#subscriber.refused(unreachable());
  }

  stall(durationMs: number): void {
    this.#pipe.stall(durationMs);
  }

  cut(): void {
    this.#pipe.cut();
  }

  #hand(action: () => void): void {
    this.#pipe.send(() => this.#life.deliver(action));
  }
}

function unreachable(): SubscribeError {
  return new SubscribeError('the master cannot be reached');
}

function outcomeOf(answer: { readonly status: number; readonly body: string }): CallOutcome {
  const { status, body } = answer;
  if (status === 202 || status === 200) return { outcome: 'sent', status };
  return { outcome: 'refused', status, message: body };
}
