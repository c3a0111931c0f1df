import { randomBytes } from 'node:crypto';
import { after, before, type TestContext } from 'node:test';
import { type AnyFunction, everyFunction } from '#functions/all.ts';
import { serveFunction } from '#functions/shared/service.ts';
import { ensureStreams } from '#functions/shared/streams.ts';
import { recordFolders, recordPathsOf } from '#proto/records.ts';
import type { ClusterSettings } from '#proto/spec.ts';
import { subjectsOf } from '#proto/subjects.ts';
import type { Bus, BusMessage, Headers } from '#runtime/bus/bus.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import { silentLog } from '#runtime/log.ts';
import { type Running, runFunction } from '#runtime/run/runner.ts';
import type { Store } from '#runtime/store/store.ts';
import { connectStore } from '#runtime/store/zookeeper.ts';
import { fleet, framework, spec } from '../functions/built.ts';
import { type NatsServer, startNats } from '../world/nats.ts';
import { startZooKeeper, type ZooKeeperWorld } from '../world/zookeeper.ts';

/** A real ZooKeeper, and a real nats-server that lets through more than drey takes. */
interface Ground {
  readonly zookeeper: ZooKeeperWorld;
  readonly nats: NatsServer;
}

/** How a function is run differently from the product. */
export interface Otherwise {
  readonly define?: (definition: AnyFunction) => AnyFunction;
  readonly store?: (store: Store) => Store;
}

/** A cluster that a gateway has led, without one: functions, and whoever sends them messages. */
export class LimitsCluster {
  readonly name = `t${randomBytes(4).toString('hex')}`;
  readonly subjects = subjectsOf(this.name);
  readonly paths = recordPathsOf('/drey', this.name);
  readonly bus: Bus;
  readonly store: Store;
  readonly #ground: Ground;
  readonly #stops: (() => Promise<void>)[] = [];

  private constructor(ground: Ground, bus: Bus, store: Store) {
    this.#ground = ground;
    this.bus = bus;
    this.store = store;
  }

  static async start(
    ground: Ground,
    t: TestContext,
    settings: Partial<ClusterSettings> = {},
  ): Promise<LimitsCluster> {
    const cluster = new LimitsCluster(ground, await busOf(ground), await storeOf(ground));
    t.after(() => cluster.stop());
    const { store, paths, bus, subjects } = cluster;
    for (const folder of recordFolders(paths)) await store.ensure(folder);
    await ensureStreams(bus, subjects);
    const records = [
      [paths.framework, framework().value],
      [paths.spec, spec(settings).value],
      [paths.fleet, fleet().value],
    ] as const;
    await store.commit(
      records.map(([path, value]) => ({ kind: 'create', path, data: JSON.stringify(value) })),
    );
    return cluster;
  }

  /** Runs a function on connections of its own, with its micro service. */
  async run(name: string, otherwise: Otherwise = {}): Promise<Running> {
    const { subjects, paths } = this;
    const bus = await busOf(this.#ground);
    const own = await storeOf(this.#ground);
    const store = otherwise.store?.(own) ?? own;
    const made = everyFunction[name]?.({ subjects, paths, store, bus, clock: systemClock });
    if (made === undefined) throw new RangeError(`${name} is no function`);
    const definition = otherwise.define?.(made) ?? made;
    const running = await runFunction(definition, {
      store,
      bus,
      clock: systemClock,
      random: Math.random,
      copy: `${name}-1`,
      log: silentLog,
      decisionSubject: subjects.decision(name),
      setAsideSubject: subjects.setAside(name),
    });
    await serveFunction(bus, definition, { cluster: this.name, copy: '1' });
    // The server knows the subscriptions once it has answered for something sent after them.
    await bus.request('$SYS.nobody', new Uint8Array(), { timeoutMs: 5000 }).catch(() => {});
    this.#stops.push(async () => {
      await running.stop();
      await Promise.all([bus.close(), own.close()]);
    });
    return running;
  }

  /** Asks and gives the answer as text. */
  async ask(
    subject: string,
    body: unknown,
    headers: Headers = {},
    timeoutMs = 60_000,
  ): Promise<string> {
    const data =
      body instanceof Uint8Array
        ? body
        : new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));
    const answer: BusMessage = await this.bus.request(subject, data, {
      timeoutMs,
      headers,
    });
    return new TextDecoder().decode(answer.data);
  }

  /** Every record and its version. */
  async records(path = this.paths.base): Promise<readonly string[]> {
    const node = await this.store.read(path);
    const names = await this.store.list(path);
    const below = await Promise.all(names.map((name) => this.records(`${path}/${name}`)));
    return [`${path}@${node?.version}`, ...below.flat()];
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops) await stop();
    await Promise.all([this.bus.close(), this.store.close()]);
  }
}

/** One ground for all tests of a file. */
export function ground(): () => Ground {
  let made: Ground | undefined;
  before(async () => {
    const configuration = 'max_payload: 8MB';
    const [zookeeper, nats] = await Promise.all([startZooKeeper(), startNats({ configuration })]);
    made = { zookeeper, nats };
  });
  after(async () => {
    await Promise.all([made?.zookeeper.stop(), made?.nats.stop()]);
  });
  return () => {
    if (made === undefined) throw new Error('not before the tests');
    return made;
  };
}

function busOf({ nats }: Ground): Promise<Bus> {
  return connectBus({ servers: [nats.url], name: 'limits', clock: systemClock });
}

function storeOf({ zookeeper }: Ground): Promise<Store> {
  return connectStore({ servers: zookeeper.servers, sessionTimeoutMs: 20_000, clock: systemClock });
}
