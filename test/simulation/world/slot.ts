import { SimBus } from './bus/connection.ts';
import type { BusServer } from './bus/server.ts';
import { Life, type World } from './life.ts';
import { SimMesosClient } from './mesos/client.ts';
import type { SimMesos } from './mesos/master.ts';
import type { Ensemble } from './store/ensemble.ts';
import { SimStore } from './store/session.ts';

/** The servers that every process connects to. */
export interface Servers {
  readonly world: World;
  readonly ensemble: Ensemble;
  readonly nats: BusServer;
  readonly mesos: SimMesos;
}

/** One process as it was started: what it reaches the world through. */
export interface Running {
  readonly life: Life;
  readonly store: SimStore;
  readonly bus: SimBus;
  readonly mesos: SimMesosClient;
}

/** A place where one process runs after the other: each that dies is followed by a new one. */
export class Slot {
  readonly name: string;
  readonly #servers: Servers;
  readonly #begin: (running: Running) => void;
  readonly #mayStart: () => boolean;
  #running: Running | undefined;
  #starts = 0;

  constructor(
    servers: Servers,
    name: string,
    begin: (running: Running) => void,
    mayStart: () => boolean = () => true,
  ) {
    this.#servers = servers;
    this.name = name;
    this.#begin = begin;
    this.#mayStart = mayStart;
  }

  get running(): Running | undefined {
    return this.#running?.life.alive === true ? this.#running : undefined;
  }

  start(): void {
    if (this.running !== undefined || !this.#mayStart()) return;
    const { world, ensemble, nats, mesos } = this.#servers;
    this.#starts += 1;
    const life = new Life(world, `${this.name}-${this.#starts}`);
    world.history.note(life.name, 'start', '');
    const running = {
      life,
      store: new SimStore(ensemble, life),
      bus: new SimBus(nats, life),
      mesos: new SimMesosClient(mesos, life),
    };
    this.#running = running;
    life.onDeath(() => {
      const downMs = life.random.span(100, 8000);
      world.time.after(downMs, () => this.start());
    });
    void running.store.connected().then(() => this.#begin(running));
  }
}
