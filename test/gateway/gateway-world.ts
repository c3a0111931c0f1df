import { randomBytes } from 'node:crypto';
import { silentMetrics } from '#gateway/core/surroundings.ts';
import { type Gateway, startGateway } from '#gateway/core.ts';
import { findMasters, type MasterFinder } from '#gateway/mesos/detect.ts';
import { HttpMesos } from '#gateway/mesos/http.ts';
import { clusterSettingsOf } from '#gateway/spec/cluster.ts';
import { encodeCall } from '#proto/mesos/codec.ts';
import type { SchedulerCall } from '#proto/mesos/types.ts';
import { type CallOutcome, callOutcome, type TickMessage, tickMessage } from '#proto/messages.ts';
import { type FrameworkRecord, frameworkRecord, recordPathsOf } from '#proto/records.ts';
import type { ClusterSettings } from '#proto/spec.ts';
import { type CallName, header, subjectsOf } from '#proto/subjects.ts';
import type { Bus, BusMessage } from '#runtime/bus/bus.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import { Configuration } from '#runtime/config/configuration.ts';
import { silentLog } from '#runtime/log.ts';
import { replaceOf } from '#runtime/store/ops.ts';
import { readRecord } from '#runtime/store/records.ts';
import type { Store } from '#runtime/store/store.ts';
import { connectStore } from '#runtime/store/zookeeper.ts';
import { type NatsServer, startNats } from '#test/world/nats.ts';
import { until } from '#test/world/until.ts';
import { startZooKeeper, type ZooKeeperWorld } from '#test/world/zookeeper.ts';
import { type FakeMaster, startFakeMaster, subscribed } from './fake-master.ts';

/** Settings of a cluster for which nothing is configured. */
export function plainSettings(): ClusterSettings {
  return clusterSettingsOf(new Configuration([]), { user: 'tester', hostname: 'localhost' });
}

/** Real ZooKeeper and NATS, for many clusters one after the other. */
export interface Ground {
  readonly zookeeper: ZooKeeperWorld;
  readonly nats: NatsServer;
  stop(): Promise<void>;
}

export async function startGround(): Promise<Ground> {
  const [zookeeper, nats] = await Promise.all([startZooKeeper(), startNats()]);
  return {
    zookeeper,
    nats,
    stop: async () => {
      await Promise.all([zookeeper.stop(), nats.stop()]);
    },
  };
}

/** One cluster on that ground with a master that does as it is told, seen from outside. */
export class TestCluster {
  readonly name = `t${randomBytes(4).toString('hex')}`;
  readonly subjects = subjectsOf(this.name);
  readonly paths = recordPathsOf('/drey', this.name);
  readonly ticks: TickMessage[] = [];
  readonly master: FakeMaster;
  readonly bus: Bus;
  readonly store: Store;
  readonly #ground: Ground;
  readonly #stops: (() => Promise<void>)[] = [];

  private constructor(ground: Ground, master: FakeMaster, bus: Bus, store: Store) {
    this.#ground = ground;
    this.master = master;
    this.bus = bus;
    this.store = store;
    bus.subscribe(this.subjects.tick, undefined, (message) => {
      this.ticks.push(tickMessage.parse(JSON.parse(Buffer.from(message.data).toString())));
    });
  }

  static async start(ground: Ground): Promise<TestCluster> {
    const master = await startFakeMaster();
    return new TestCluster(
      ground,
      master,
      await connectBus({ servers: [ground.nats.url], name: 'test', clock: systemClock }),
      await connectTestStore(ground),
    );
  }

  /** A gateway in this process, with connections of its own. */
  async gateway(
    id: string,
    settings = plainSettings(),
    giveUpAfterMs?: number,
    masters: MasterFinder = findMasters(this.master.origin, () =>
      Promise.reject(new Error('unused')),
    ),
  ): Promise<Gateway> {
    const store = await connectTestStore(this.#ground);
    const servers = [this.#ground.nats.url];
    const bus = await connectBus({ servers, name: id, clock: systemClock });
    const mesos = new HttpMesos({ masters });
    const gateway = startGateway({
      store,
      bus,
      clock: systemClock,
      random: Math.random,
      mesos,
      subjects: this.subjects,
      paths: this.paths,
      id,
      settings,
      log: silentLog,
      metrics: silentMetrics,
      giveUpAfterMs,
    });
    this.#stops.push(async () => {
      await gateway.stop();
      await Promise.all([mesos.close(), bus.close(), store.close()]);
    });
    return gateway;
  }

  /** Waits for a SUBSCRIBE that came after `since` requests, answers SUBSCRIBED, waits until it is told. */
  async subscribe(gateway: Gateway, masterId = 'master-1', since = 0): Promise<string> {
    const heard = await until(
      () => this.master.heard.slice(since).findLast(({ call }) => call.type === 'SUBSCRIBE'),
      { deadlineMs: 15_000, what: 'a SUBSCRIBE' },
    );
    const id = heard.call.framework_id?.value ?? '';
    await until(() => this.master.streams > 0, { deadlineMs: 5000, what: 'a stream' });
    this.master.send(subscribed(id, masterId));
    await until(() => gateway.status.subscribed, { deadlineMs: 5000, what: 'subscribed' });
    return id;
  }

  async framework(): Promise<FrameworkRecord> {
    const record = await readRecord(this.store, this.paths.framework, frameworkRecord);
    if (record === undefined) throw new Error('there is no framework record');
    return record.value;
  }

  async setFramework(change: Partial<FrameworkRecord>): Promise<void> {
    const record = await readRecord(this.store, this.paths.framework, frameworkRecord);
    if (record === undefined) throw new Error('there is no framework record');
    const next = { ...record.value, op: `test-${randomBytes(4).toString('hex')}`, ...change };
    await this.store.commit([replaceOf(record, next)]);
  }

  async call(epoch: number, name: CallName, call: SchedulerCall): Promise<CallOutcome> {
    const answer = await this.bus.request(
      this.subjects.call(epoch, name),
      encodeCall(call, 'protobuf'),
      { timeoutMs: 5000 },
    );
    return callOutcome.parse(JSON.parse(Buffer.from(answer.data).toString()));
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops) await stop();
    await this.bus.close();
    await this.store.close();
    await this.master.stop();
  }
}

function connectTestStore(ground: Ground): Promise<Store> {
  const { servers } = ground.zookeeper;
  return connectStore({ servers, sessionTimeoutMs: 4000, clock: systemClock });
}

/** The epoch that a message of an event names. */
export function epochOf(message: BusMessage): number {
  return Number(message.headers[header.epoch]);
}
