import { frameworkRecord, recordPathsOf } from '#proto/records.ts';
import type { Flink } from '../world/flink.ts';
import type { Random } from '../world/random.ts';
import type { Running, Servers, Slot } from '../world/slot.ts';
import type { Tree } from '../world/store/tree.ts';
import { calmBus, calmMesos, calmStore } from '../world/weather.ts';
import type { Blow, Kind, Strike, Weather } from './plan.ts';

/** What people ask of the cluster. */
export interface People {
  /** Another number of workers. */
  demand(random: Random): void;
  /** Any command at any time. */
  command(random: Random): void;
  end(random: Random): void;
}

export interface Victims {
  readonly servers: Servers;
  readonly slots: readonly Slot[];
  readonly flink: Flink | undefined;
  readonly people: People;
  /** The cluster was told to end. */
  ends(): boolean;
  /** Faults have stopped. */
  isCalm(): boolean;
}

/** Lets each fault of the plan strike at its time; those of `spared` do not. */
export function strikeAll(
  victims: Victims,
  strikes: readonly Strike[],
  spared: ReadonlySet<number>,
): void {
  const { time, random } = victims.servers.world;
  for (const { id, atMs, kind } of strikes) {
    if (spared.has(id)) continue;
    time.after(atMs, () => effects[kind](victims, random.fork(`strike-${id}`)));
  }
}

/** Everything that was bent is straight again; what is broken heals by itself. */
export function calmDown({ servers, slots }: Victims): void {
  const { ensemble, nats, mesos, world } = servers;
  Object.assign(ensemble.weather, calmStore());
  Object.assign(nats.weather, calmBus());
  Object.assign(mesos.weather, calmMesos());
  for (const agent of mesos.agents) agent.weather.failChance = 0;
  for (const slot of slots) slot.running?.life.spare();
  world.history.note('heals', 'calm', 'no more faults');
}

type Effect = (victims: Victims, random: Random) => void;

function on(act: (running: Running, random: Random) => void): Effect {
  return ({ slots }, random) => {
    const { running } = random.pick(slots);
    if (running !== undefined) act(running, random);
  };
}

const blows: Readonly<Record<Blow, Effect>> = {
  crash: on(({ life }, random) =>
    life.dieAt(random.between(1, 6), random.pick(['before', 'after'])),
  ),
  freeze: on(({ life }, random) => life.freeze(random.span(100, random.pick([500, 5000, 25_000])))),
  'store cut': on(({ store }, random) => store.cut(random.span(1, random.pick([100, 3000, 2e4])))),
  'store silent': on(({ store }, random) => store.cut(random.span(500, 20_000), true)),
  'store outage': ({ servers }, random) =>
    servers.ensemble.outage(random.span(100, random.pick([1000, 8000, 20_000]))),
  'store full': ({ servers }, random) => servers.ensemble.fill(random.span(500, 10_000)),
  'store restored': (victims, random) => restoreLater(victims, random),
  'bus cut': on(({ bus }, random) => bus.cut(random.span(1, random.pick([100, 2000, 10_000])))),
  'bus restart': (victims, random) => restartBus(victims, random),
  'bus restart with loss': (victims, random) => {
    victims.servers.nats.loseTail(random.between(1, 4));
    restartBus(victims, random);
  },
  'mesos cut': on(({ mesos }, random) => mesos.cut(random.span(1, random.pick([500, 15_000])))),
  'mesos stall': on(({ mesos }, random) => mesos.stall(random.span(1000, 60_000))),
  'master failover': (victims, random) => failover(victims, random, true),
  'master failover without registry': (victims, random) => failover(victims, random, false),
  'framework removed': ({ servers, ends }) => {
    // What ends is removed anyway, and by whom is not told apart.
    if (!ends()) servers.mesos.removeFramework();
  },
  'agent cut': ({ servers: { mesos } }, random) =>
    mesos.cutAgent(random.pick(mesos.agents), random.span(10, 2000)),
  'agent away': ({ servers: { mesos } }, random) =>
    mesos.cutAgent(random.pick(mesos.agents), random.span(10_000, 60_000)),
  'agent lost': ({ servers: { mesos } }, random) =>
    mesos.loseAgent(random.pick(mesos.agents), random.span(1000, 20_000)),
  'task fails': ({ servers }, random) => {
    random.pick(servers.mesos.agents).failOne();
  },
  'driver crash': ({ flink }) => flink?.leader?.life.crash('the JobManager is killed'),
  'driver twice': ({ flink }) => flink?.start(),
  'clock skew': on(({ life }, random) => life.skew(random.span(-1500, 1500))),
  demand: ({ people }, random) => people.demand(random),
  command: ({ people }, random) => people.command(random),
};

const weathers: Readonly<Record<Weather, Effect>> = {
  'store lag': ({ servers }, random) => {
    const lagMs = [0.2, random.span(20, 300), random.span(100, 1500)];
    Object.assign(servers.ensemble.weather, { lagMs });
  },
  'bus loss': ({ servers }, random) =>
    Object.assign(servers.nats.weather, { lossChance: random.pick([0.01, 0.05, 0.2]) }),
  'bus doubling': ({ servers }, random) =>
    Object.assign(servers.nats.weather, { doubleChance: random.pick([0.02, 0.1]) }),
  'bus delay': ({ servers }, random) => {
    const delayMs = random.pick([50, 500, 3000]);
    Object.assign(servers.nats.weather, { delayChance: 0.05, delayMs });
  },
  // In order within each connection, in hardly any against the others.
  'bus reordering': ({ servers }, random) =>
    Object.assign(servers.nats.weather, { latencyMs: random.pick([20, 200]) }),
  'mesos doubt': ({ servers }, random) =>
    Object.assign(servers.mesos.weather, { doubtChance: random.pick([0.02, 0.1, 0.3]) }),
  'mesos doubling': ({ servers }, random) =>
    Object.assign(servers.mesos.weather, { doubleChance: random.pick([0.1, 0.5]) }),
  'agent loss': ({ servers }, random) =>
    Object.assign(servers.mesos.weather, { agentLossChance: random.pick([0.05, 0.2]) }),
  'acknowledge loss': ({ servers }, random) =>
    Object.assign(servers.mesos.weather, { acknowledgeLossChance: random.pick([0.1, 0.5]) }),
  'launch fails': ({ servers }, random) => {
    for (const agent of servers.mesos.agents) agent.weather.failChance = random.pick([0.1, 0.4]);
  },
};

const effects: Readonly<Record<Kind, Effect>> = {
  ...blows,
  ...weathers,
  end: ({ people }, random) => people.end(random),
};

function failover({ servers, ends }: Victims, random: Random, registry: boolean): void {
  // A new master does not know that a framework was torn down: an agent that was away then
  // brings its tasks back, and nobody is left to kill them. That is Mesos' own.
  if (!ends()) servers.mesos.failover(random.span(100, 10_000), registry);
}

/** A copy is taken now; later everything is stopped, the copy put in place, everything started. */
function restoreLater(victims: Victims, random: Random): void {
  const { servers, slots, ends, isCalm } = victims;
  const { ensemble, mesos, world } = servers;
  const copy = ensemble.agreed.copy();
  const before = frameworkIn(copy);
  world.time.after(random.span(1000, 30_000), () => {
    // A framework that the copy does not know is nobody's: an operator has to remove it from Mesos.
    const known = before !== undefined && before === frameworkIn(ensemble.agreed);
    // Nor can anybody know of tasks that store and master have forgotten both.
    const whole = mesos.master !== undefined && mesos.agents.every((agent) => agent.connected);
    if (ends() || isCalm() || !known || !whole) return;
    for (const { running } of slots) running?.life.crash('stopped to restore ZooKeeper');
    ensemble.restore(copy);
  });
}

function frameworkIn(tree: Tree): string | undefined {
  const node = tree.get(recordPathsOf('/drey', 'sim').framework);
  return node && frameworkRecord.parse(JSON.parse(node.data)).id;
}

function restartBus({ servers, slots, flink }: Victims, random: Random): void {
  const downMs = random.span(100, 5000);
  servers.world.history.note('fault', 'bus restart', `${downMs} ms`);
  for (const { running } of slots) running?.bus.cut(downMs);
  flink?.leader?.bus.cut(downMs);
}
