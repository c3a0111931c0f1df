import { encodeJson } from '#proto/messages.ts';
import { type RecordPaths, recordPathsOf } from '#proto/records.ts';
import { type Subjects, subjectsOf } from '#proto/subjects.ts';
import { CalmLaws } from './laws/calm.ts';
import { type Asked, difference } from './laws/converged.ts';
import { Laws, type Violation, type Watched } from './laws/laws.ts';
import { AgreedRecords } from './laws/records.ts';
import { type Kind, Nemesis } from './nemesis.ts';
import { beginFunctions, beginGateway, functionGroups, type Tampering } from './processes.ts';
import { agentResources, simulatedSettings } from './settings.ts';
import { SimBus } from './world/bus/connection.ts';
import { BusServer } from './world/bus/server.ts';
import { Flink } from './world/flink.ts';
import { History } from './world/history.ts';
import { Life, type World } from './world/life.ts';
import { SimAgent } from './world/mesos/agent.ts';
import { SimMesos } from './world/mesos/master.ts';
import { Random } from './world/random.ts';
import { type Servers, Slot } from './world/slot.ts';
import { Ensemble } from './world/store/ensemble.ts';
import { VirtualTime } from './world/time.ts';
import { calmBus, calmStore } from './world/weather.ts';

/** How one seed went. */
export interface Outcome {
  readonly seed: string;
  readonly digest: string;
  readonly violations: readonly Violation[];
  readonly history: History;
  readonly events: number;
  readonly virtualMs: number;
  readonly faults: ReadonlyMap<string, number>;
}

/** The product with a fault planted in it, and the kinds of faults that show it. */
export interface Variant {
  readonly tampering: Tampering;
  readonly faults?: readonly Kind[];
}

/** A seed takes some ten thousand events; many more are copies that keep each other awake. */
const mostEvents = 200_000;

const start = Date.UTC(2026, 0, 1);
const cluster = 'sim';
/** Faults strike for at most so long. */
const faultsMs = 90_000;
/** Once they have stopped, the cluster must have become what is asked within this time. */
const convergeMs = 600_000;
/** What holds in the calm is looked at for at least so long. */
const calmMs = 140_000;
/** And stay so. */
const stableMs = 10_000;

/** Runs one seed from a cold start through its faults until the cluster is what is asked. */
export async function simulate(
  seed: string,
  variant: Variant = { tampering: {} },
): Promise<Outcome> {
  const simulation = new Simulation(seed, variant);
  await simulation.run();
  return simulation.outcome;
}

class Simulation {
  readonly #seed: string;
  readonly #random: Random;
  readonly #servers: Servers;
  readonly #paths: RecordPaths = recordPathsOf('/drey', cluster);
  readonly #subjects: Subjects = subjectsOf(cluster);
  readonly #slots: readonly Slot[];
  readonly #flink: Flink | undefined;
  readonly #nemesis: Nemesis;
  readonly #watched: Watched;
  readonly #laws: Laws;
  readonly #calm: CalmLaws;
  readonly #admin: SimBus;
  readonly #mode: 'driver' | 'fixed';
  #target: number;
  #ends = false;
  /** The hold that was released last. */
  #released: number | undefined;

  constructor(seed: string, { tampering, faults = [] }: Variant) {
    this.#seed = seed;
    const time = new VirtualTime(start);
    const random = new Random(seed);
    const world: World = { time, random, history: new History(time) };
    this.#random = random.fork('scenario');
    this.#mode = this.#random.pick(['driver', 'fixed']);
    this.#target = this.#random.between(1, 6);
    const ensemble = new Ensemble(world, calmStore());
    const nats = new BusServer(world, calmBus());
    const mesos = new SimMesos(world, agentsOf(world, this.#random), {
      latencyMs: 2,
      doubtChance: 0,
      agentLossChance: 0,
    });
    this.#servers = { world, ensemble, nats, mesos };
    const records = new AgreedRecords(ensemble, this.#paths);
    this.#watched = { world, records, mesos };
    this.#laws = new Laws(this.#watched);
    this.#calm = new CalmLaws(this.#watched, this.#laws, () => {
      const leader = this.#flink?.leader;
      return leader?.life.alive === true ? leader.driver.session : undefined;
    });
    this.#admin = new SimBus(nats, new Life(world, 'admin'));
    this.#slots = this.#makeSlots(tampering);
    this.#flink = this.#mode === 'driver' ? this.#makeFlink() : undefined;
    const victims = {
      servers: this.#servers,
      slots: this.#slots,
      flink: this.#flink,
      demand: () => this.#demand(),
      ends: () => this.#ends,
      stop: () => this.#stop(),
    };
    this.#nemesis = new Nemesis(victims, faults);
  }

  #makeSlots(tampering: Tampering): readonly Slot[] {
    const place = { subjects: this.#subjects, paths: this.#paths, tampering };
    const settings = simulatedSettings(this.#mode, this.#target);
    const groups = functionGroups(this.#random.chance(0.5));
    const slots = groups.flatMap(({ name, functions }) =>
      ['a', 'b'].map(
        (copy) =>
          new Slot(this.#servers, `${name}-${copy}`, (running) => {
            void beginFunctions(running, functions, place);
          }),
      ),
    );
    const gateways = ['a', 'b'].map(
      (copy) =>
        new Slot(
          this.#servers,
          `gateway-${copy}`,
          (running) => beginGateway(running, settings, place),
          // Whoever starts a gateway on an ended cluster wants a new one: nobody does here.
          () => this.#watched.records.framework?.state !== 'ended',
        ),
    );
    return [...gateways, ...slots];
  }

  #makeFlink(): Flink {
    const { world, nats, mesos } = this.#servers;
    const fail = (worker: string) => {
      for (const agent of mesos.agents) agent.fail(worker);
    };
    const flink = new Flink(world, nats, this.#subjects, this.#target, fail);
    for (const agent of mesos.agents) agent.onTask((id, running) => flink.task(id, running));
    return flink;
  }

  async run(): Promise<void> {
    const { time } = this.#servers.world;
    for (const slot of this.#slots) slot.start();
    time.after(this.#random.span(0, 15_000), () => this.#nemesis.begin());
    if (this.#random.chance(0.08)) this.#later(faultsMs, () => this.#end());
    await time.run(start + this.#random.span(20_000, faultsMs), () => this.#over());
    this.#nemesis.stop();
    this.#calm.calm();
    if (this.#random.chance(0.6)) this.#later(calmMs, () => this.#demand());
    if (this.#random.chance(0.15)) this.#later(calmMs, () => this.#end());
    await this.#converge();
  }

  #over(): boolean {
    if (this.#servers.world.time.taken > mostEvents) {
      this.#laws.broken('work comes to rest', `${mostEvents} events`, []);
    }
    return this.#laws.broke;
  }

  #later(mostMs: number, action: () => void): void {
    this.#servers.world.time.after(this.#random.span(0, mostMs), action);
  }

  /** Runs until nothing differs from what is asked for a while, or the time is up. */
  async #converge(): Promise<void> {
    const { time } = this.#servers.world;
    const deadline = time.now() + convergeMs;
    await time.run(time.now() + calmMs, () => this.#over());
    let since: number | undefined;
    while (!this.#laws.broke && time.now() < deadline) {
      const what = difference(this.#watched, this.#asked);
      since = what === undefined ? (since ?? time.now()) : undefined;
      this.#releaseHold();
      if (since !== undefined && time.now() - since >= stableMs) return;
      await time.run(time.now() + 1000, () => this.#over());
    }
    const what = difference(this.#watched, this.#asked);
    if (what !== undefined) {
      const about = what.match(/taskmanager-\d+/g) ?? [];
      this.#laws.broken('the fleet converges to what is asked', what, about);
    }
  }

  get #asked(): Asked {
    return {
      paths: this.#paths,
      flink: this.#flink,
      target: () => this.#target,
      ends: () => this.#ends,
    };
  }

  #demand(): void {
    if (this.#ends) return;
    this.#target = this.#random.between(0, 7);
    this.#servers.world.history.note('asked', 'workers', String(this.#target));
    this.#flink?.need(this.#target);
    if (this.#flink === undefined) void this.#command('scale', { workers: this.#target });
  }

  /** A hold asks for a person, who looks and finds that the workers are lost indeed. */
  #releaseHold(): void {
    const held = this.#watched.records.framework?.held;
    if (held === undefined || held.since === this.#released || this.#ends) return;
    this.#released = held.since;
    this.#later(10_000, () => void this.#command('release-hold', {}));
  }

  #stop(): void {
    const workers = [...this.#watched.records.workers.keys()];
    if (this.#ends || workers.length === 0) return;
    void this.#command('stop', { worker: this.#random.pick(workers) });
  }

  #end(): void {
    if (this.#ends) return;
    this.#ends = true;
    this.#servers.world.history.note('asked', 'end', '');
    if (this.#flink !== undefined && this.#random.chance(0.5)) this.#flink.end();
    else void this.#command('teardown', {});
  }

  /** As people do: a command whose receipt does not come is sent again. */
  async #command(name: string, body: object): Promise<void> {
    const target = this.#target;
    for (;;) {
      try {
        await this.#admin.append(this.#subjects.admin(name), encodeJson(body));
        return;
      } catch {
        await new Promise<void>((resolve) => {
          this.#servers.world.time.after(1000, resolve);
        });
        if (name === 'scale' && target !== this.#target) return;
      }
    }
  }

  get outcome(): Outcome {
    const { world } = this.#servers;
    return {
      seed: this.#seed,
      digest: world.history.digest(),
      violations: this.#laws.violations,
      history: world.history,
      events: world.history.count,
      virtualMs: world.time.now() - start,
      faults: this.#nemesis.struck,
    };
  }
}

function agentsOf(world: World, random: Random): readonly SimAgent[] {
  return Array.from({ length: random.between(3, 5) }, (_, index) => {
    const weather = { startMs: 1500, failChance: 0, graceMs: 2000, lossChance: 0 };
    return new SimAgent(world, `agent${index + 1}`, agentResources(3), weather);
  });
}
