import type { Bus, BusMessage, StreamMessage, StreamOptions } from '#runtime/bus/bus.ts';
import { DreyError } from '#runtime/errors.ts';

/** A NATS with JetStream, simulated or real. */
export interface BusWorld {
  /** One more connection. */
  bus(): Promise<Bus>;
  /** The server dies; resolves once every client has seen it. */
  die(): Promise<void>;
  /** It is there again with what it had stored; resolves once every client is back. */
  revive(): Promise<void>;
  /** Waits; simulated time goes on meanwhile. */
  finish<T>(promise: Promise<T>): Promise<T>;
  /** Waits until it holds. */
  until(condition: () => boolean, what: string): Promise<void>;
}

/** What is done and seen, one thing after the other: the same on every NATS. */
interface Scenario {
  readonly name: string;
  readonly run: (world: BusWorld) => Promise<readonly unknown[]>;
  readonly sees: readonly unknown[];
}

const bytes = (text: string) => new TextEncoder().encode(text);
const text = ({ data }: BusMessage | StreamMessage) => new TextDecoder().decode(data);
const soon = { timeoutMs: 5000 };

const commands: StreamOptions = {
  name: 'COMMANDS',
  subjects: ['do.*'],
  retention: 'workqueue',
  maxBytes: 1_000_000,
  maxAgeMs: 3_600_000,
};
const oneByOne = { maxPending: 1, ackWaitMs: 5000 };

async function outcome<T>(
  world: BusWorld,
  call: Promise<T>,
  show: (value: T) => unknown,
): Promise<unknown> {
  return world.finish(
    call.then(show, (error: unknown) => (error instanceof DreyError ? error.code : error)),
  );
}

/** Echoes until an answer has come: then the subscriptions made before it on `bus` stand. */
async function standing(world: BusWorld, bus: Bus, asker: Bus): Promise<void> {
  bus.subscribe('standing', undefined, ({ reply }) => bus.publish(reply ?? '', bytes('')));
  for (;;) {
    const heard = await outcome(world, asker.request('standing', bytes(''), soon), () => 'heard');
    if (heard === 'heard') return;
  }
}

export const scenarios: readonly Scenario[] = [
  {
    name: 'a message goes to one of each queue group and to everyone else, in the order of its sender',
    run: async (world) => {
      const [one, two, sender] = [await world.bus(), await world.bus(), await world.bus()];
      const grouped: string[] = [];
      const plain: string[] = [];
      for (const member of [one, two]) {
        member.subscribe('a.*', 'q', (message) => grouped.push(text(message)));
        member.subscribe('a.>', undefined, ({ subject, headers }) => {
          plain.push(`${subject} ${headers.Epoch ?? ''}`);
        });
        await standing(world, member, sender);
      }
      const ordered: string[] = [];
      one.subscribe('a.*', undefined, (message) => ordered.push(text(message)));
      await standing(world, one, sender);
      const numbers = Array.from({ length: 20 }, (_, n) => String(n));
      for (const n of numbers) sender.publish('a.x', bytes(n), { Epoch: '7' });
      sender.publish('a.x.y', bytes('deep'));
      await world.until(
        () => grouped.length === 20 && plain.length === 42 && ordered.length === 20,
        'all have come',
      );
      return [
        new Set(grouped).size,
        [...new Set(plain)].sort(),
        ordered.join() === numbers.join() ? 'in order' : ordered,
      ];
    },
    sees: [20, ['a.x 7', 'a.x.y '], 'in order'],
  },
  {
    name: 'a request is answered, finds nobody, or ends by its time-out',
    run: async (world) => {
      const [asker, taker] = [await world.bus(), await world.bus()];
      const ask = (subject: string, timeoutMs: number) =>
        outcome(world, asker.request(subject, bytes('?'), { timeoutMs }), text);
      const nobody = await ask('echo', 5000);
      const echo = taker.subscribe('echo', 'q', (message) => {
        taker.publish(message.reply ?? '', bytes(`${text(message)}!`));
      });
      taker.subscribe('silent', undefined, () => undefined);
      await standing(world, taker, asker);
      const answers = [nobody, await ask('echo', 5000), await ask('silent', 200)];
      await world.finish(echo.drain());
      return [...answers, await ask('echo', 5000)];
    },
    sees: ['DREY_NO_RESPONDER', '?!', 'DREY_REQUEST_TIMEOUT', 'DREY_NO_RESPONDER'],
  },
  {
    name: 'when the server dies a request in flight is in doubt and a later one is not sent',
    run: async (world) => {
      const [asker, taker] = [await world.bus(), await world.bus()];
      const seen: boolean[] = [];
      asker.onConnection((connected) => seen.push(connected));
      taker.subscribe('silent', undefined, () => undefined);
      taker.subscribe('echo', undefined, ({ reply }) => taker.publish(reply ?? '', bytes('back')));
      await standing(world, taker, asker);
      const request = outcome(
        world,
        asker.request('silent', bytes('?'), { timeoutMs: 3_600_000 }),
        text,
      );
      await world.finish(world.die());
      const flown = await request;
      const late = await outcome(world, asker.request('echo', bytes('?'), soon), text);
      const published = asker.publish('echo', bytes('?'));
      await world.finish(world.revive());
      await standing(world, taker, asker);
      const back = await outcome(world, asker.request('echo', bytes('?'), soon), text);
      return [flown, late, published, back, seen];
    },
    sees: ['DREY_REQUEST_TIMEOUT', 'DREY_BUS_UNAVAILABLE', false, 'back', [false, true]],
  },
  {
    name: 'a stored command comes again until it is acknowledged, one at a time over all members',
    run: async (world) => {
      const [writer, one, two] = [await world.bus(), await world.bus(), await world.bus()];
      const nowhere = await outcome(world, writer.append('do.x', bytes('')), (n) => n);
      await world.finish(writer.ensureStream(commands));
      await world.finish(writer.ensureStream(commands));
      const appended: unknown[] = [];
      for (const body of ['a', 'b', 'c']) {
        appended.push(await outcome(world, writer.append('do.x', bytes(body)), (n) => n));
      }
      const seen: string[] = [];
      const take = (message: StreamMessage): void => {
        seen.push(`${text(message)} ${message.sequence}/${message.deliveries}`);
        // The first is forgotten once, the second sent back once.
        if (message.deliveries > 1 || message.sequence === 3) message.ack();
        else if (message.sequence === 2) message.nak(50);
      };
      for (const member of [one, two]) {
        await world.finish(member.consume('COMMANDS', 'd', oneByOne, take));
      }
      await world.until(() => seen.length === 5, 'all were taken');
      appended.push(await outcome(world, writer.append('do.y', bytes('d')), (n) => n));
      await world.until(() => seen.length === 6, 'the next was taken');
      return [nowhere, appended, seen];
    },
    sees: [
      'DREY_NO_RESPONDER',
      [1, 2, 3, 4],
      ['a 1/1', 'a 1/2', 'b 2/1', 'b 2/2', 'c 3/1', 'd 4/1'],
    ],
  },
  {
    name: 'a stored command outlives the server, and its consumer goes on by itself',
    run: async (world) => {
      const [writer, taker] = [await world.bus(), await world.bus()];
      await world.finish(writer.ensureStream(commands));
      const seen: string[] = [];
      await world.finish(
        taker.consume('COMMANDS', 'd', oneByOne, (message) => {
          seen.push(`${text(message)} ${message.sequence}`);
          message.ack();
        }),
      );
      await outcome(world, writer.append('do.x', bytes('a')), (n) => n);
      await world.until(() => seen.length === 1, 'the first was taken');
      // The acknowledgement went out before it on the same connection.
      await standing(world, taker, writer);
      await world.finish(world.die());
      await world.finish(world.revive());
      const second = await outcome(world, writer.append('do.x', bytes('b')), (n) => n);
      await world.until(() => seen.length === 2, 'the second was taken');
      return [second, seen];
    },
    sees: [2, ['a 1', 'b 2']],
  },
  {
    name: 'a question to a service is answered, or its error told',
    run: async (world) => {
      const [asker, service] = [await world.bus(), await world.bus()];
      await world.finish(
        service.serve({
          name: 'clerk',
          version: '1.0.0',
          description: 'answers',
          metadata: {},
          queue: 'q',
          endpoints: [
            { name: 'good', subject: 'ask.good', handle: async (message) => message.data },
            {
              name: 'bad',
              subject: 'ask.bad',
              handle: async () => {
                throw new Refusal('not today');
              },
            },
          ],
        }),
      );
      await standing(world, service, asker);
      const good = await outcome(world, asker.request('ask.good', bytes('x'), soon), text);
      const bad = await outcome(world, asker.request('ask.bad', bytes('x'), soon), (message) => [
        message.headers['Nats-Service-Error'],
        message.headers['Nats-Service-Error-Code'],
      ]);
      return [good, bad];
    },
    sees: ['x', ['DREY_REFUSAL: not today', '400']],
  },
];

class Refusal extends DreyError {
  readonly code = 'DREY_REFUSAL';
  readonly remedy = 'give-up';
}
