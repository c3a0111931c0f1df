import { encodeJson } from '#proto/messages.ts';
import type { RecordPaths } from '#proto/records.ts';
import type { Subjects } from '#proto/subjects.ts';
import type { People } from './faults/nemesis.ts';
import type { Watched } from './laws/laws.ts';
import { SimBus } from './world/bus/connection.ts';
import type { BusServer } from './world/bus/server.ts';
import type { Flink } from './world/flink.ts';
import { Life } from './world/life.ts';
import type { Random } from './world/random.ts';

/** People look whether what they asked for was done, and ask again. */
const lookAgainMs = 5000;
const receiptPauseMs = 1000;
const releaseAgainMs = 30_000;
const scaleAgainMs = 30_000;

/** Who asks: Flink and administrators, as the cluster is run. */
export interface Asking {
  readonly watched: Watched;
  readonly nats: BusServer;
  readonly subjects: Subjects;
  readonly paths: RecordPaths;
  readonly flink: () => Flink | undefined;
  readonly target: number;
}

/** Everyone who asks something of the cluster, and what is asked of it at present. */
export class Crowd implements People {
  readonly #asking: Asking;
  readonly #bus: SimBus;
  #target: number;
  #ends = false;
  #releasedAt = 0;
  /** The number that was asked for last by command, and when it was asked for again. */
  #scaled: number | undefined;
  #scaledAt = 0;

  constructor(asking: Asking) {
    this.#asking = asking;
    this.#bus = new SimBus(asking.nats, new Life(asking.watched.world, 'admin'));
    this.#target = asking.target;
  }

  get target(): number {
    return this.#target;
  }

  get ends(): boolean {
    return this.#ends;
  }

  demand(random: Random): void {
    if (this.#ends) return;
    const target = random.between(0, 7);
    this.#target = target;
    this.#note('workers', String(target));
    const flink = this.#asking.flink();
    if (flink !== undefined) flink.need(target);
    else {
      this.#scaled = target;
      void this.#until('scale', { workers: target }, () => this.#isScaled(target));
    }
  }

  /** A worker is stopped, or something is asked that makes no sense now. */
  command(random: Random): void {
    const workers = [...this.#asking.watched.records.workers.keys()];
    const worker = workers.length === 0 ? 'taskmanager-99999' : random.pick(workers);
    const other = random.pick([
      ['release-hold', '{}'],
      ['scale', '{"workers": -1}'],
      ['scale', 'nonsense'],
      ['dance', '{}'],
    ] as const);
    const [name, body] = random.chance(0.7)
      ? (['stop', JSON.stringify({ worker })] as const)
      : other;
    this.#note(name, body);
    const data = new TextEncoder().encode(body);
    this.#bus.append(this.#asking.subjects.admin(name), data).catch(() => undefined);
  }

  end(random: Random): void {
    if (this.#ends) return;
    this.#ends = true;
    this.#note('end', '');
    const flink = this.#asking.flink();
    if (flink !== undefined && random.chance(0.5)) flink.end();
    else void this.#until('teardown', {}, () => this.#isEnding());
  }

  /** What was asked and is not so any more, since an old copy was put in place, is asked again. */
  look(): void {
    this.#releaseHold();
    const { world } = this.#asking.watched;
    const scaled = this.#scaled;
    if (scaled === undefined || this.#isScaled(scaled)) return;
    if (world.time.now() - this.#scaledAt < scaleAgainMs) return;
    this.#scaledAt = world.time.now();
    void this.#send('scale', { workers: scaled });
  }

  /** A hold asks for a person, who looks and finds that the workers are lost indeed. */
  #releaseHold(): void {
    const { records, world } = this.#asking.watched;
    const now = world.time.now();
    if (records.framework?.held === undefined || this.#ends) return;
    if (now - this.#releasedAt < releaseAgainMs) return;
    this.#releasedAt = now;
    world.time.after(world.random.fork(`release-${now}`).span(0, 10_000), () => {
      this.#note('release-hold', '');
      void this.#send('release-hold', {});
    });
  }

  #note(what: string, about: string): void {
    this.#asking.watched.world.history.note('asked', what, about);
  }

  #isScaled(target: number): boolean {
    if (this.#ends || this.#target !== target) return true;
    return this.#asking.watched.records.target === target;
  }

  #isEnding(): boolean {
    const state = this.#asking.watched.records.framework?.state;
    return state !== undefined && state !== 'active';
  }

  async #until(name: string, body: object, done: () => boolean): Promise<void> {
    while (!done()) {
      await this.#send(name, body);
      await this.#pause(lookAgainMs);
    }
  }

  /** A command whose receipt does not come is sent again. */
  async #send(name: string, body: object): Promise<void> {
    for (;;) {
      try {
        await this.#bus.append(this.#asking.subjects.admin(name), encodeJson(body));
        return;
      } catch {
        await this.#pause(receiptPauseMs);
      }
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#asking.watched.world.time.after(delayMs, resolve);
    });
  }
}
