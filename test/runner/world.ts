import { after, before } from 'node:test';
import { z } from 'zod';
import {
  type DecisionMessage,
  decisionMessage,
  type SetAsideMessage,
  setAsideMessage,
} from '#proto/messages.ts';
import type { Bus, BusMessage } from '#runtime/bus/bus.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import { BadMessageError } from '#runtime/errors.ts';
import type { Decision, FunctionDefinition } from '#runtime/function.ts';
import type { Log } from '#runtime/log.ts';
import { type Running, runFunction } from '#runtime/run/runner.ts';
import type { Store, Stored } from '#runtime/store/store.ts';
import { type NatsServer, startNats } from '#test/world/nats.ts';

const event = z.object({
  /** `add`: counts once for each id. `break`: no decision is possible. `absent`: asks for a barrier. */
  kind: z.enum(['add', 'break', 'absent', 'large', 'own']),
  id: z.string(),
});
export type CountEvent = z.infer<typeof event>;

/** Where everything of one test lies. */
export const paths = {
  counter: '/t/counter',
  barrier: '/t/barrier',
  seen: (id: string) => `/t/seen-${id}`,
};
export const barrierPath = paths.barrier;

interface State {
  readonly counter: Stored | undefined;
  readonly seen: ReadonlySet<string>;
}

/** A function that counts each id once and performs one effect for each. */
export function counting(
  perform: (id: string) => Promise<readonly CountEvent[]> = async () => [],
  heard: () => void = () => {},
): FunctionDefinition<State, CountEvent, string> {
  const parse = (message: BusMessage): CountEvent => {
    heard();
    return parseEvent(message);
  };
  return {
    name: 'counting',
    description: 'counts each id once',
    hears: [
      { transport: 'request', subject: 'count.ask', parse },
      { transport: 'queue', subject: 'count.hint', parse },
    ],
    label: ({ kind, id }) => `${kind} ${id}`,
    show: (id) => `performed ${id}`,
    load: async (store, events) => {
      const read = await Promise.all(events.map(({ id }) => store.read(paths.seen(id))));
      const seen = new Set(events.filter((_, at) => read[at] !== undefined).map(({ id }) => id));
      return { counter: await store.read(paths.counter), seen };
    },
    decide,
    perform,
    barrier: barrierPath,
  };
}

function parseEvent(message: BusMessage): CountEvent {
  const read = event.safeParse(JSON.parse(new TextDecoder().decode(message.data)));
  if (!read.success) throw new BadMessageError('no such event');
  return read.data;
}

function decide(
  state: State,
  events: readonly CountEvent[],
  moment: { readonly op: string },
): Decision<string> {
  if (events.some(({ kind }) => kind === 'break')) throw new TypeError('a broken decision');
  const fresh = [...new Set(events.map(({ id }) => id))].filter((id) => !state.seen.has(id));
  const before = state.counter === undefined ? 0 : JSON.parse(state.counter.data).count;
  const data = JSON.stringify({ v: 1, op: moment.op, count: before + fresh.length });
  const filler = events.some(({ kind }) => kind === 'large') ? 'x'.repeat(10_000) : '';
  const counter =
    state.counter === undefined
      ? ({ kind: 'create', path: paths.counter, data } as const)
      : ({ kind: 'set', path: paths.counter, data, version: state.counter.version } as const);
  const made = fresh.map((id) => {
    const seen = JSON.stringify({ v: 1, op: moment.op, filler });
    return { kind: 'create', path: paths.seen(id), data: seen } as const;
  });
  return {
    writes: fresh.length === 0 ? [] : [counter, ...made],
    effects: fresh,
    reasons: fresh.map((id) => ({ about: id, why: 'it was not counted' })),
    answers: new Map(
      [...events.entries()]
        .filter(([, { id }]) => id.startsWith('answered'))
        .map(([at]) => [at, { at }]),
    ),
    fromAbsence: events.some(({ kind }) => kind === 'absent'),
  };
}

/** Everything that the log of a runner said. */
export interface HeardLog extends Log {
  readonly lines: { readonly level: string; readonly sentence: string; readonly facts: object }[];
}

export function hearLog(): HeardLog {
  const lines: HeardLog['lines'] = [];
  const at = (level: string) => (facts: object, sentence: string) => {
    lines.push({ level, sentence, facts });
  };
  const log: HeardLog = {
    lines,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => log,
  };
  return log;
}

export interface Ground {
  readonly nats: NatsServer;
  /** A new connection, closed when the file's tests end. */
  bus(): Promise<Bus>;
}

/** One server for all tests of a file. */
export function ground(): () => Ground {
  let made: Ground | undefined;
  const buses: Bus[] = [];
  before(async () => {
    const nats = await startNats();
    made = {
      nats,
      bus: async () => {
        const bus = await connectBus({ servers: [nats.url], name: 't', clock: systemClock });
        buses.push(bus);
        return bus;
      },
    };
  });
  after(async () => {
    await Promise.all(buses.map((bus) => bus.close()));
    await made?.nats.stop();
  });
  return () => {
    if (made === undefined) throw new Error('not before the tests');
    return made;
  };
}

export interface Started {
  readonly running: Running;
  readonly bus: Bus;
  readonly log: HeardLog;
  readonly decisions: DecisionMessage[];
  /** What was set aside, as it was told. */
  readonly aside: SetAsideMessage[];
  /** Asks and gives the answer as JSON. */
  ask(body: object, timeoutMs?: number): Promise<unknown>;
}

let copies = 0;

/** Runs a function on a connection of its own; `ask` comes from another one. */
export async function start<S, E>(
  at: Ground,
  definition: FunctionDefinition<S, E, string>,
  store: Store,
): Promise<Started> {
  const [bus, asker] = [await at.bus(), await at.bus()];
  const log = hearLog();
  const decisions: DecisionMessage[] = [];
  copies += 1;
  const decisionSubject = `decision.${copies}`;
  bus.subscribe(decisionSubject, undefined, (message) => {
    const line: unknown = JSON.parse(new TextDecoder().decode(message.data));
    decisions.push(decisionMessage.parse(line));
  });
  const setAsideSubject = `set-aside.${copies}`;
  const aside: SetAsideMessage[] = [];
  bus.subscribe(setAsideSubject, undefined, (message) => {
    aside.push(setAsideMessage.parse(JSON.parse(new TextDecoder().decode(message.data))));
  });
  const running = await runFunction(definition, {
    store,
    bus,
    clock: systemClock,
    random: () => 0.5,
    copy: `copy${copies}`,
    log,
    decisionSubject,
    setAsideSubject,
  });
  // The server knows the subscriptions once it has answered for something sent after them.
  await bus.request('$SYS.nobody', new Uint8Array(), { timeoutMs: 2000 }).catch(() => {});
  return {
    running,
    bus,
    log,
    decisions,
    aside,
    ask: async (body, timeoutMs = 5000) => {
      const data = new TextEncoder().encode(JSON.stringify(body));
      const answer = await asker.request('count.ask', data, { timeoutMs });
      return JSON.parse(new TextDecoder().decode(answer.data));
    },
  };
}

/** The number that a store holds. */
export async function countIn(store: Store): Promise<number> {
  const read = await store.read(paths.counter);
  return read === undefined ? 0 : JSON.parse(read.data).count;
}
