import { type DemandAnswer, demandMessages, encodeJson } from '#proto/messages.ts';
import type { Subjects } from '#proto/subjects.ts';
import type { Bus, BusMessage } from '#runtime/bus/bus.ts';

type Verb = keyof typeof demandMessages;
type Body = Readonly<Record<string, unknown>>;

/** A JobManager with its driver, Java's or the model, and the bus on which drey would answer it. */
export interface DriverWorld {
  readonly bus: Bus;
  readonly subjects: Subjects;
  start(): Promise<void>;
  /** A job needs so many workers; 0: it is cancelled. */
  need(workers: number): Promise<void>;
  hasEnded(): boolean;
  until(condition: () => boolean, what: string): Promise<void>;
}

/** Drey's side of one exchange: what it hears, each message once, and the answers of the script. */
class Clerk {
  readonly heard: string[] = [];
  readonly fields = new Map<Verb, string>();
  answer: (said: string) => DemandAnswer | 'lost' = () => ({ status: 'ok' });
  session = '';
  readonly #counts = new Map<string, number>();
  readonly #world: DriverWorld;

  constructor(world: DriverWorld) {
    this.#world = world;
    for (const verb of Object.keys(demandMessages) as Verb[]) {
      const subject = world.subjects.demand(verb);
      world.bus.subscribe(subject, undefined, (message) => this.#take(verb, message));
    }
  }

  count(said: string): number {
    return this.#counts.get(said) ?? 0;
  }

  note(what: string): void {
    if (!this.heard.includes(what)) this.heard.push(what);
  }

  publish(verb: 'launched' | 'ended', body: Body): void {
    const message = encodeJson({ session: this.session, ...body });
    this.#world.bus.publish(this.#world.subjects.demand(verb), message);
  }

  hears(said: string, times = 1): Promise<void> {
    return this.#world.until(() => this.count(said) >= times, `${said}, ${times} times`);
  }

  #take(verb: Verb, { data, reply }: BusMessage): void {
    const body: Body = demandMessages[verb].parse(JSON.parse(new TextDecoder().decode(data)));
    this.fields.set(verb, Object.keys(body).sort().join(' '));
    this.session = String(body.session);
    const names = [body.n, body.worker, ...((body.workers ?? []) as readonly string[])];
    const said = [verb, ...names.filter((name) => name !== undefined)].join(' ');
    this.#counts.set(said, this.count(said) + 1);
    this.note(said);
    const answer = this.answer(said);
    if (answer !== 'lost') this.#world.bus.publish(reply ?? '', encodeJson(answer));
  }
}

const worker = (n: number) => `taskmanager-${String(n).padStart(5, '0')}`;

/** One exchange from the driver's first word to its end; resolves to what was heard. */
export async function exchange(world: DriverWorld): Promise<readonly unknown[]> {
  const clerk = new Clerk(world);
  const states = new Map<number, string>();
  let refusals = 0;
  let isOver = false;
  clerk.answer = (said) => {
    const n = Number(/^request (\d+)$/.exec(said)?.[1] ?? 0);
    if (isOver && said === 'confirm') return { status: 'superseded', message: 'by a newer one' };
    if (said === 'recover') return { status: 'ok', workers: [] };
    if (n === 0) return { status: 'ok' };
    if (n === 3 && states.get(3) === undefined) return 'lost';
    if (n === 3) clerk.note('the answer to 3');
    if (n > 3 && refusals < 2) {
      refusals += 1;
      return { status: 'refused', message: 'held' };
    }
    return { status: 'ok', worker: worker(n), state: (states.get(n) ?? 'wanted') as 'wanted' };
  };
  await world.start();
  await clerk.hears('recover');

  // Two that wait are asked for again and again; one is told to be launched, of the other it is learnt.
  await world.need(2);
  await clerk.hears('request 1', 3);
  await clerk.hears('request 2', 3);
  clerk.publish('launched', { session: 'another', n: 1, worker: 'stranger' });
  clerk.publish('launched', { n: 1, worker: worker(1) });
  states.set(2, 'launching');
  const asked = clerk.count('request 2');
  await clerk.hears('request 2', asked + 1);

  // Nobody asked for this one any more.
  clerk.publish('launched', { n: 77, worker: worker(77) });
  await clerk.hears(`release ${worker(77)}`);
  const repeats = [clerk.count('request 1'), clerk.count('request 2')];

  // An end is told once, however often it is said, and Flink asks for another worker.
  clerk.publish('ended', { session: 'another', worker: worker(2), why: 'not ours' });
  for (let time = 0; time < 2; time += 1) {
    clerk.publish('ended', { worker: worker(1), why: 'it failed' });
  }
  await clerk.hears(`confirm ${worker(1)}`);

  // The end of the third overtakes the answer to its request.
  await clerk.hears('request 3', 2);
  clerk.publish('ended', { worker: worker(3), why: 'it failed' });
  await clerk.hears('request 3', clerk.count('request 3') + 2);
  states.set(3, 'ended');
  await clerk.hears(`confirm ${worker(3)}`);

  // Two refusals: each is a request of its own.
  await clerk.hears('request 6', 2);
  const waited = [clerk.count('request 1'), clerk.count('request 2')];
  await world.need(0);
  await clerk.hears('release 6');
  await clerk.hears(`release ${worker(2)}`);

  // Another one holds Flink's side: learnt by asking.
  isOver = true;
  await world.until(() => world.hasEnded(), 'the JobManager has ended');
  return [
    [...clerk.fields].sort(),
    // Every ten seconds it asks who holds Flink's side: `confirm` of nothing.
    clerk.heard.filter((said) => !said.startsWith('release') && said !== 'confirm'),
    clerk.heard.filter((said) => said.startsWith('release')).sort(),
    repeats.join() === waited.join() ? 'asked no more once launched' : [repeats, waited],
  ];
}

/** What drey hears in it. */
export const hears: readonly unknown[] = [
  [
    ['confirm', 'session workers'],
    ['recover', 'flinkVersion session'],
    ['release', 'n session'],
    ['request', 'cpus dynamic gpus jvm memMb n session slots'],
  ],
  [
    'recover',
    'request 1',
    'request 2',
    'request 3',
    'confirm taskmanager-00001',
    'the answer to 3',
    'request 4',
    'confirm taskmanager-00003',
    'request 5',
    'request 6',
  ],
  ['release 6', 'release taskmanager-00002', 'release taskmanager-00077'],
  'asked no more once launched',
];
