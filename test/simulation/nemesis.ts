import type { Flink } from './world/flink.ts';
import type { Random } from './world/random.ts';
import type { Running, Servers, Slot } from './world/slot.ts';
import { calmBus, calmStore } from './world/weather.ts';

/** What can go wrong; a seed takes some of them. */
const kinds = [
  'crash',
  'freeze',
  'store cut',
  'store silent',
  'store outage',
  'store lag',
  'bus cut',
  'bus restart',
  'bus loss',
  'bus doubling',
  'bus delay',
  'mesos cut',
  'mesos stall',
  'mesos doubt',
  'master failover',
  'agent cut',
  'agent lost',
  'agent loss',
  'task fails',
  'launch fails',
  'driver crash',
  'driver twice',
  'demand',
  'stop',
] as const;
export type Kind = (typeof kinds)[number];

export interface Victims {
  readonly servers: Servers;
  readonly slots: readonly Slot[];
  readonly flink: Flink | undefined;
  /** Asks for another number of workers. */
  demand(): void;
  /** The cluster was told to end. */
  ends(): boolean;
  /** An administrator stops one worker. */
  stop(): void;
}

/** The faults of one seed: drawn before, struck one after the other, until it is told to stop. */
export class Nemesis {
  readonly #victims: Victims;
  readonly #random: Random;
  readonly #chosen: readonly Kind[];
  readonly #pauseMs: number;
  #striking = false;
  readonly struck = new Map<Kind, number>();

  /** Some kinds by the seed, and those that are `certain`. */
  constructor(victims: Victims, certain: readonly Kind[]) {
    this.#victims = victims;
    this.#random = victims.servers.world.random.fork('nemesis');
    const share = this.#random.pick([0.15, 0.4, 0.7]);
    const chosen = kinds.filter(() => this.#random.chance(share));
    this.#chosen = kinds.filter((kind) => chosen.includes(kind) || certain.includes(kind));
    this.#pauseMs = this.#random.pick([500, 2000, 5000]);
  }

  begin(): void {
    this.#striking = true;
    this.#weather();
    if (this.#chosen.length > 0) this.#later();
  }

  /** Everything that was bent is straight again; what is broken heals by itself. */
  stop(): void {
    this.#striking = false;
    const { ensemble, nats, mesos } = this.#victims.servers;
    Object.assign(ensemble.weather, calmStore());
    Object.assign(nats.weather, calmBus());
    Object.assign(mesos.weather, { doubtChance: 0, agentLossChance: 0 });
    for (const agent of mesos.agents) agent.weather.failChance = 0;
    for (const slot of this.#victims.slots) slot.running?.life.spare();
    this.#victims.servers.world.history.note('fault', 'calm', 'no more faults');
  }

  #weather(): void {
    const { ensemble, nats, mesos } = this.#victims.servers;
    const random = this.#random;
    const has = (kind: Kind) => this.#chosen.includes(kind);
    if (has('store lag')) {
      ensemble.weather.lagMs = [0.2, random.span(20, 300), random.span(100, 1500)];
    }
    if (has('bus loss')) nats.weather.lossChance = random.pick([0.01, 0.05, 0.2]);
    if (has('bus doubling')) nats.weather.doubleChance = random.pick([0.02, 0.1]);
    if (has('bus delay')) {
      Object.assign(nats.weather, { delayChance: 0.05, delayMs: random.pick([50, 500, 3000]) });
    }
    if (has('mesos doubt')) mesos.weather.doubtChance = random.pick([0.02, 0.1, 0.3]);
    if (has('agent loss')) mesos.weather.agentLossChance = random.pick([0.05, 0.2]);
    if (has('launch fails')) {
      for (const agent of mesos.agents) agent.weather.failChance = random.pick([0.1, 0.4]);
    }
  }

  #later(): void {
    const pauseMs = -Math.log(1 - this.#random.next()) * this.#pauseMs;
    this.#victims.servers.world.time.after(pauseMs, () => {
      if (!this.#striking) return;
      this.#strike(this.#random.pick(this.#chosen));
      this.#later();
    });
  }

  #strike(kind: Kind): void {
    const random = this.#random;
    const { servers, flink } = this.#victims;
    const { ensemble, mesos } = servers;
    this.struck.set(kind, (this.struck.get(kind) ?? 0) + 1);
    const on = (act: (running: Running) => void): void => {
      const { running } = random.pick(this.#victims.slots);
      if (running !== undefined) act(running);
    };
    switch (kind) {
      case 'crash':
        on(({ life }) => life.dieAt(random.between(1, 6), random.pick(['before', 'after'])));
        return;
      case 'freeze':
        on(({ life }) => life.freeze(random.span(100, random.pick([500, 5000, 25_000]))));
        return;
      case 'store cut':
        on(({ store }) => store.cut(random.span(1, random.pick([100, 3000, 20_000]))));
        return;
      case 'store silent':
        on(({ store }) => store.cut(random.span(500, 20_000), true));
        return;
      case 'store outage':
        ensemble.outage(random.span(100, random.pick([1000, 8000, 20_000])));
        return;
      case 'bus cut':
        on(({ bus }) => bus.cut(random.span(1, random.pick([100, 2000, 10_000]))));
        return;
      case 'bus restart':
        this.#restartBus();
        return;
      case 'mesos cut':
        on(({ mesos: client }) => client.cut(random.span(1, random.pick([500, 15_000]))));
        return;
      case 'mesos stall':
        on(({ mesos: client }) => client.stall(random.span(1000, 60_000)));
        return;
      case 'master failover':
        // A new master does not know that a framework was torn down: an agent that was away then
        // brings its tasks back, and nobody is left to kill them. That is Mesos' own.
        if (!this.#victims.ends()) mesos.failover(random.span(100, 10_000), random.chance(0.5));
        return;
      case 'agent cut':
        mesos.cutAgent(random.pick(mesos.agents), random.span(10, random.pick([2000, 40_000])));
        return;
      case 'agent lost':
        mesos.loseAgent(random.pick(mesos.agents), random.span(1000, 20_000));
        return;
      case 'task fails':
        random.pick(mesos.agents).failOne();
        return;
      case 'driver crash':
        flink?.leader?.life.crash('the JobManager is killed');
        return;
      case 'driver twice':
        flink?.start();
        return;
      case 'demand':
        this.#victims.demand();
        return;
      case 'stop':
        this.#victims.stop();
        return;
      default:
        return;
    }
  }

  #restartBus(): void {
    const downMs = this.#random.span(100, 5000);
    for (const { running } of this.#victims.slots) running?.bus.cut(downMs);
    this.#victims.flink?.leader?.bus.cut(downMs);
  }
}
