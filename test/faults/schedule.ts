import { Random } from '#test/simulation/world/random.ts';

/** What can go wrong, each with the span of its duration in ms. */
const spans = {
  'gateway killed': [0, 0],
  'functions killed': [0, 0],
  'all functions killed': [0, 0],
  'everything of drey killed': [0, 0],
  'gateway frozen': [500, 9000],
  'functions frozen': [500, 9000],
  'NATS server killed': [0, 3000],
  'NATS server restarted': [0, 1000],
  'NATS server frozen': [500, 8000],
  'ZooKeeper server killed': [500, 6000],
  'ZooKeeper server frozen': [500, 8000],
  'all ZooKeeper servers killed': [500, 3000],
  'Mesos master killed': [200, 4000],
  'Mesos master frozen': [500, 8000],
  'Mesos agents frozen': [500, 8000],
  'connections cut': [0, 0],
  'connections refused': [500, 6000],
  'connections half-open': [500, 9000],
  'answers held back': [500, 9000],
  'bytes swallowed': [500, 9000],
  'connections slow': [2000, 9000],
} as const satisfies Readonly<Record<string, readonly [number, number]>>;
export type Kind = keyof typeof spans;
export const everyKind = Object.keys(spans) as readonly Kind[];

/** One fault as it was drawn. */
export interface Fault {
  /** ms after the first moment. */
  readonly at: number;
  readonly kind: Kind;
  readonly lastsMs: number;
  /** Whom it hits, and how hard: in [0, 1), for whoever strikes to make an index of. */
  readonly whom: number;
  readonly where: number;
}

/** How long a run is and how hard it is hit. */
export interface Plan {
  readonly seed: string;
  readonly durationMs: number;
  /** Mean pause between two faults. */
  readonly pauseMs: number;
  readonly kinds: readonly Kind[];
}

/** The faults of a run, drawn before it begins: each kind comes about equally often. */
export function scheduleOf({ seed, durationMs, pauseMs, kinds }: Plan): readonly Fault[] {
  const random = new Random(seed).fork('faults');
  const faults: Fault[] = [];
  let deck: Kind[] = [];
  for (let at = 0; ; ) {
    at += -Math.log(1 - random.next()) * pauseMs;
    if (at >= durationMs) return faults;
    if (deck.length === 0) deck = [...kinds];
    const kind = random.pick(deck);
    deck = deck.filter((one) => one !== kind);
    const [shortest, longest] = spans[kind];
    const lastsMs = Math.round(random.span(shortest, longest));
    faults.push({ at: Math.round(at), kind, lastsMs, whom: random.next(), where: random.next() });
  }
}

/** How many workers are asked for, and when. */
export interface Wish {
  readonly at: number;
  readonly workers: number;
}

/** The load of a run: up and down between two numbers, the last one near the middle. */
export function loadOf(
  { seed, durationMs }: Plan,
  { low, high, everyMs }: { readonly low: number; readonly high: number; readonly everyMs: number },
): readonly Wish[] {
  const random = new Random(seed).fork('load');
  const wishes: Wish[] = [];
  for (let at = 0; at < durationMs; at += random.span(0.5, 1.5) * everyMs) {
    wishes.push({ at: Math.round(at), workers: random.between(low, high) });
  }
  return wishes;
}
