import { type RecordPaths, recordPathsOf } from '#proto/records.ts';
import { type Subjects, subjectsOf } from '#proto/subjects.ts';
import { calmDown, strikeAll, type Victims } from './faults/nemesis.ts';
import { anything, calmMs, type Plan, type Profile, planOf } from './faults/plan.ts';
import { CalmLaws } from './laws/calm.ts';
import { type Asked, difference } from './laws/converged.ts';
import { FenceLaw } from './laws/fence.ts';
import { Laws, type Violation, type Watched } from './laws/laws.ts';
import { AgreedRecords } from './laws/records.ts';
import { Crowd } from './people.ts';
import { beginFunctions, beginGateway, functionGroups, type Tampering } from './processes.ts';
import { agentResources, simulatedSettings } from './settings.ts';
import { type Cell, Table } from './table.ts';
import { BusServer } from './world/bus/server.ts';
import { Flink } from './world/flink.ts';
import { History } from './world/history.ts';
import type { World } from './world/life.ts';
import { SimAgent } from './world/mesos/agent.ts';
import { SimMesos } from './world/mesos/master.ts';
import { Random } from './world/random.ts';
import { type Servers, Slot } from './world/slot.ts';
import { Ensemble } from './world/store/ensemble.ts';
import { VirtualTime } from './world/time.ts';
import { calmBus, calmMesos, calmStore } from './world/weather.ts';

/** How one seed went. */
export interface Outcome {
  readonly seed: string;
  /** Over everything that happened. */
  readonly digest: string;
  readonly violations: readonly Violation[];
  readonly history: History;
  readonly plan: Plan;
  readonly events: number;
  readonly virtualMs: number;
  readonly faults: ReadonlyMap<string, number>;
  /** How often what befell a worker in which state. */
  readonly cells: ReadonlyMap<Cell, number>;
}

/** The product with a fault planted in it, and the kinds of faults that show it. */
export interface Variant {
  readonly tampering: Tampering;
  readonly profile?: Profile;
}

/** A seed takes some ten thousand events; many more are copies that keep each other awake. */
const mostEvents = 200_000;

const start = Date.UTC(2026, 0, 1);
const cluster = 'sim';
/** Once faults have stopped, the cluster must have become what is asked within this time. */
const convergeMs = 600_000;
/** And stay so. */
const stableMs = 10_000;

/** Runs one seed from a cold start through its faults, but those spared, until the cluster is what is asked. */
export async function simulate(
  seed: string,
  variant: Variant = { tampering: {} },
  spared: ReadonlySet<number> = new Set(),
): Promise<Outcome> {
  const simulation = new Simulation(seed, variant);
  await simulation.run(spared);
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
  readonly #plan: Plan;
  readonly #watched: Watched;
  readonly #laws: Laws;
  readonly #calm: CalmLaws;
  readonly #crowd: Crowd;
  readonly #mode: 'driver' | 'fixed';
  readonly #table = new Table();

  constructor(seed: string, { tampering, profile = anything }: Variant) {
    this.#seed = seed;
    const time = new VirtualTime(start);
    const random = new Random(seed);
    const world: World = { time, random, history: new History(time) };
    this.#random = random.fork('scenario');
    this.#plan = planOf(random.fork('nemesis'), profile);
    this.#mode = this.#random.pick(['driver', 'fixed']);
    const target = this.#random.between(1, 6);
    const ensemble = new Ensemble(world, calmStore());
    const nats = new BusServer(world, calmBus());
    const mesos = new SimMesos(world, agentsOf(world, this.#random), calmMesos());
    this.#servers = { world, ensemble, nats, mesos };
    const records = new AgreedRecords(ensemble, this.#paths);
    this.#watched = { world, records, mesos };
    this.#laws = new Laws(this.#watched);
    new FenceLaw(this.#watched, this.#laws, nats);
    this.#calm = new CalmLaws(this.#watched, this.#laws, () => {
      const leader = this.#flink?.leader;
      return leader?.life.alive === true ? leader.driver.session : undefined;
    });
    this.#crowd = new Crowd({
      watched: this.#watched,
      nats,
      subjects: this.#subjects,
      paths: this.#paths,
      flink: () => this.#flink,
      target,
    });
    this.#slots = this.#makeSlots(tampering, target);
    this.#flink = this.#mode === 'driver' ? this.#makeFlink(target) : undefined;
  }

  #makeSlots(tampering: Tampering, target: number): readonly Slot[] {
    const place = {
      subjects: this.#subjects,
      paths: this.#paths,
      tampering,
      table: this.#table,
      newer: false,
    };
    const settings = simulatedSettings(this.#mode, target);
    const mixed = this.#random.chance(0.3);
    const groups = functionGroups(this.#random.chance(0.5));
    const slots = groups.flatMap(({ name, functions }) =>
      ['a', 'b'].map((copy) => {
        const isNewer = copy === 'b' && mixed;
        return new Slot(this.#servers, `${name}-${copy}`, (running) => {
          if (isNewer) this.#servers.world.history.note('fault', 'newer copy', running.life.name);
          void beginFunctions(running, functions, { ...place, newer: isNewer });
        });
      }),
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

  #makeFlink(target: number): Flink {
    const { world, nats, mesos } = this.#servers;
    const fail = (worker: string) => {
      for (const agent of mesos.agents) agent.fail(worker);
    };
    const flink = new Flink(world, nats, this.#subjects, target, fail);
    for (const agent of mesos.agents) agent.onTask((id, running) => flink.task(id, running));
    return flink;
  }

  async run(spared: ReadonlySet<number>): Promise<void> {
    const { time } = this.#servers.world;
    const victims: Victims = {
      servers: this.#servers,
      slots: this.#slots,
      flink: this.#flink,
      people: this.#crowd,
      ends: () => this.#crowd.ends,
      isCalm: () => time.now() >= start + this.#plan.calmAtMs,
    };
    for (const slot of this.#slots) slot.start();
    strikeAll(victims, this.#plan.strikes, spared);
    await time.run(start + this.#plan.calmAtMs, () => this.#over());
    calmDown(victims);
    this.#calm.calm();
    await this.#converge();
  }

  #over(): boolean {
    if (this.#servers.world.time.taken > mostEvents) {
      this.#laws.broken('work comes to rest', `${mostEvents} events`, []);
    }
    return this.#laws.broke;
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
      this.#crowd.look();
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
      target: () => this.#crowd.target,
      ends: () => this.#crowd.ends,
    };
  }

  get outcome(): Outcome {
    const { world } = this.#servers;
    return {
      seed: this.#seed,
      digest: world.history.digest(),
      violations: this.#laws.violations,
      history: world.history,
      plan: this.#plan,
      events: world.history.count,
      virtualMs: world.time.now() - start,
      faults: world.history.faults,
      cells: this.#table.cells,
    };
  }
}

function agentsOf(world: World, random: Random): readonly SimAgent[] {
  return Array.from({ length: random.between(3, 5) }, (_, index) => {
    const weather = { startMs: 1500, failChance: 0, graceMs: 2000, lossChance: 0 };
    return new SimAgent(world, `agent${index + 1}`, agentResources(3), weather);
  });
}
