import type { Fault, Kind } from './schedule.ts';
import type { Client, Stage } from './stage.ts';

/** Strikes as the schedule says, and heals what it has struck. */
export class Nemesis {
  readonly #stage: Stage;
  readonly struck = new Map<Kind, number>();
  /** What is broken at the moment, by name: it is not struck again before it is whole. */
  readonly #broken = new Map<string, Promise<void>>();
  /** What could not be healed: the run is worth nothing then. */
  readonly #failures: unknown[] = [];
  readonly #timers = new Set<{ readonly wake: () => void }>();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** Where the victim is hurt already the fault is left out. */
  strike(fault: Fault): void {
    const blow = this.#blow(fault);
    if (blow === undefined || this.#broken.has(blow.victim)) return;
    this.struck.set(fault.kind, (this.struck.get(fault.kind) ?? 0) + 1);
    const healing = blow
      .act()
      .catch((error: unknown) => void this.#failures.push(error))
      .finally(() => this.#broken.delete(blow.victim));
    this.#broken.set(blow.victim, healing);
  }

  /** Ends every fault now; resolves when all that was struck is whole. @throws what could not be healed. */
  async calm(): Promise<void> {
    for (const timer of this.#timers) timer.wake();
    await Promise.all(this.#broken.values());
    if (this.#failures.length > 0) throw new AggregateError(this.#failures, 'faults do not heal');
  }

  #blow({ kind, lastsMs, whom, where }: Fault): Blow | undefined {
    const { world, gateways, functions, mesos } = this.#stage;
    const clients = [...gateways, ...functions];
    const { zookeeper, natsServers } = world;
    const zookeeperServer = Math.floor(whom * zookeeper.addresses.length);
    const natsNumber = Math.floor(whom * natsServers.length);
    const nats = natsServers[natsNumber];
    const wait = (): Promise<void> => this.#wait(lastsMs);
    switch (kind) {
      case 'gateway killed':
        return kill([pick(gateways, whom)]);
      case 'functions killed':
        return kill([pick(functions, whom)]);
      case 'all functions killed':
        return kill(functions);
      case 'everything of drey killed':
        return kill(clients);
      case 'gateway frozen':
        return freeze(pick(gateways, whom), wait);
      case 'functions frozen':
        return freeze(pick(functions, whom), wait);
      case 'NATS server killed':
        return blow(`nats-${natsNumber}`, async () => {
          await nats?.kill();
          await wait();
          await nats?.restart();
        });
      case 'NATS server restarted':
        return blow(`nats-${natsNumber}`, async () => void (await nats?.restart()));
      case 'NATS server frozen':
        return blow(`nats-${natsNumber}`, async () => {
          nats?.freeze();
          await wait();
          nats?.thaw();
        });
      case 'ZooKeeper server killed':
        return blow('zookeeper', async () => {
          await zookeeper.kill(zookeeperServer);
          await wait();
          await zookeeper.restart(zookeeperServer);
        });
      case 'ZooKeeper server frozen':
        return blow('zookeeper', async () => {
          zookeeper.freeze(zookeeperServer);
          await wait();
          zookeeper.thaw(zookeeperServer);
        });
      case 'all ZooKeeper servers killed':
        return blow('zookeeper', async () => {
          const all = zookeeper.addresses.map((_, n) => n);
          await Promise.all(all.map((n) => zookeeper.kill(n)));
          await wait();
          await Promise.all(all.map((n) => zookeeper.restart(n)));
        });
      case 'Mesos master killed':
        return blow('mesos', async () => {
          await mesos.master.kill('SIGKILL');
          await wait();
          await mesos.master.restart();
        });
      case 'Mesos master frozen':
        return blow('mesos', async () => {
          await mesos.master.kill('SIGSTOP');
          await wait();
          await mesos.master.kill('SIGCONT');
        });
      case 'Mesos agents frozen':
        return blow('agents', async () => {
          await mesos.agentsApart?.kill('SIGSTOP');
          await wait();
          await mesos.agentsApart?.kill('SIGCONT');
        });
      default:
        return this.#onTheWay(kind, pick(clients, whom), where, wait);
    }
  }

  #onTheWay(kind: WayKind, client: Client, where: number, wait: () => Promise<void>): Blow {
    const targets = [...new Set(client.ways.map(({ to }) => to))];
    const target = pick(targets, where);
    const relays = client.ways.filter(({ to }) => to === target).map(({ relay }) => relay);
    return blow(`${client.process.part.name} to ${target}`, async () => {
      for (const relay of relays) {
        if (kind === 'connections cut') relay.cut();
        if (kind === 'connections refused') relay.refuse();
        if (kind === 'connections half-open') relay.hold();
        if (kind === 'answers held back') relay.holdAnswers();
        if (kind === 'bytes swallowed') relay.swallow();
        if (kind === 'connections slow') relay.delay(20 + Math.round(where * 400));
      }
      await wait();
      for (const relay of relays) relay.release();
    });
  }

  async #wait(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = { wake: resolve };
      this.#timers.add(timer);
      setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, ms);
    });
  }
}

/** Who is hurt, and how. */
interface Blow {
  readonly victim: string;
  readonly act: () => Promise<void>;
}

type WayKind = Extract<Kind, `connections ${string}` | 'answers held back' | 'bytes swallowed'>;

function blow(victim: string, act: () => Promise<void>): Blow {
  return { victim, act };
}

function kill(clients: readonly Client[]): Blow {
  const victim = clients.map(({ process }) => process.part.name).join();
  return blow(
    victim,
    async () => void (await Promise.all(clients.map((one) => one.process.kill()))),
  );
}

function freeze(client: Client, wait: () => Promise<void>): Blow {
  return blow(client.process.part.name, async () => {
    client.process.freeze();
    await wait();
    client.process.thaw();
  });
}

function pick<T>(list: readonly T[], share: number): T {
  const found = list[Math.floor(share * list.length)];
  if (found === undefined) throw new RangeError('nobody to strike');
  return found;
}
