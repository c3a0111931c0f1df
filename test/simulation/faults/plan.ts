import type { Random } from '../world/random.ts';

/** Struck at one moment. */
const blows = [
  'crash',
  'freeze',
  'store cut',
  'store silent',
  'store outage',
  'store full',
  'store restored',
  'bus cut',
  'bus restart',
  'bus restart with loss',
  'mesos cut',
  'mesos stall',
  'master failover',
  'master failover without registry',
  'framework removed',
  'agent cut',
  'agent away',
  'agent lost',
  'task fails',
  'driver crash',
  'driver twice',
  'clock skew',
  'demand',
  'command',
] as const;

/** Lasts from the first fault to the calm. */
const weathers = [
  'store lag',
  'bus loss',
  'bus doubling',
  'bus delay',
  'bus reordering',
  'mesos doubt',
  'mesos doubling',
  'agent loss',
  'acknowledge loss',
  'launch fails',
] as const;

const kinds = [...blows, ...weathers];
export type Blow = (typeof blows)[number];
export type Weather = (typeof weathers)[number];
/** `end`: the cluster is told to end. */
export type Kind = Blow | Weather | 'end';

/** One fault of a seed: what follows from it is drawn from its `id` alone, whichever others strike. */
export interface Strike {
  readonly id: number;
  /** From the start. */
  readonly atMs: number;
  readonly kind: Kind;
}

/** The faults of one seed, and when they stop. */
export interface Plan {
  readonly strikes: readonly Strike[];
  readonly calmAtMs: number;
}

/** What is drawn: some kinds by the seed and those that are `certain`, or no others than these. */
export interface Profile {
  readonly certain: readonly Kind[];
  readonly only: boolean;
}

export const anything: Profile = { certain: [], only: false };

/** Faults strike for at most so long. */
const faultsMs = 90_000;
/** What is asked in the calm is asked within this time. */
export const calmMs = 140_000;

/** Draws the faults of one seed. */
export function planOf(random: Random, { certain, only }: Profile): Plan {
  const beginMs = random.span(0, 15_000);
  const calmAtMs = random.span(20_000, faultsMs);
  const share = random.pick([0.15, 0.4, 0.7]);
  const drawn = kinds.filter(() => random.chance(share));
  const chosen = kinds.filter((kind) => certain.includes(kind) || (!only && drawn.includes(kind)));
  const struck: Omit<Strike, 'id'>[] = weathers
    .filter((kind) => chosen.includes(kind))
    .map((kind) => ({ atMs: beginMs, kind }));
  const pauseMs = only ? random.pick([500, 2000]) : random.pick([500, 2000, 5000]);
  const choice = blows.filter((kind) => chosen.includes(kind));
  for (let atMs = beginMs; choice.length > 0; ) {
    atMs += -Math.log(1 - random.next()) * pauseMs;
    if (atMs >= calmAtMs) break;
    struck.push({ atMs, kind: random.pick(choice) });
  }
  const ends = only ? certain.includes('end') : random.chance(0.2);
  if (ends) struck.push({ atMs: random.span(0, calmAtMs + calmMs), kind: 'end' });
  if (random.chance(0.6)) struck.push({ atMs: calmAtMs + random.span(0, calmMs), kind: 'demand' });
  return { strikes: struck.map((strike, id) => ({ ...strike, id })), calmAtMs };
}
