import type { Subjects } from '#proto/subjects.ts';
import { SimBus } from './bus/connection.ts';
import type { BusServer } from './bus/server.ts';
import { type FlinkSide, SimDriver } from './driver.ts';
import { Life, type World } from './life.ts';

/** A worker that was launched and whose TaskManager has not registered after so long is given back. */
const registrationTimeoutMs = 60_000;
/** A TaskManager that is refused comes again after so long. */
const refusedPauseMs = 10_000;
/** `resourcemanager.start-worker.retry-interval`. */
const refusedRequestPauseMs = 3000;
const heartbeatTimeoutMs = 50_000;

interface Worker {
  registered: boolean;
  readonly since: number;
  lostAt: number | undefined;
}

/** One JobManager: Flink's active resource manager with its driver, as far as workers go. */
export class JobManager implements FlinkSide {
  readonly life: Life;
  readonly driver: SimDriver;
  readonly workers = new Map<string, Worker>();
  readonly bus: SimBus;
  readonly #onGivenBack: (worker: string) => void;
  #pending = 0;
  #target: number;
  #ready = false;
  #pauses = false;

  constructor(
    world: World,
    name: string,
    server: BusServer,
    subjects: Subjects,
    target: number,
    onGivenBack: (worker: string) => void,
  ) {
    this.#onGivenBack = onGivenBack;
    this.life = new Life(world, name);
    this.#target = target;
    this.bus = new SimBus(server, this.life);
    this.driver = new SimDriver(this.life, this.bus, subjects, this);
    this.#watch();
  }

  /** How many TaskManagers Flink needs from now on. */
  need(target: number): void {
    this.#target = target;
    this.#declare();
  }

  /** A TaskManager registers. False: Flink does not know it. */
  register(worker: string): boolean {
    const known = this.workers.get(worker);
    if (known === undefined) return false;
    known.registered = true;
    known.lostAt = undefined;
    return true;
  }

  /** A registered TaskManager's process is gone. */
  lost(worker: string): void {
    const known = this.workers.get(worker);
    if (known !== undefined) known.lostAt ??= this.life.clock.now();
  }

  recovered(workers: readonly string[]): void {
    for (const worker of workers) this.#add(worker);
    this.#ready = true;
    this.#declare();
  }

  served(_n: number, worker: string): void {
    this.#pending -= 1;
    this.#add(worker);
  }

  refused(_n: number): void {
    this.#pending -= 1;
    if (this.#pauses) return;
    // One pause for all: each with one of its own would ask ever more often.
    this.#pauses = true;
    this.life.clock.after(refusedRequestPauseMs, () => {
      this.#pauses = false;
      this.#declare();
    });
  }

  terminated(worker: string): void {
    this.workers.delete(worker);
    this.#declare();
  }

  failed(why: string): void {
    this.life.crash(`the JobManager ends: ${why}`);
  }

  #add(worker: string): void {
    const since = this.life.clock.now();
    this.workers.set(worker, { registered: false, since, lostAt: undefined });
  }

  #declare(): void {
    if (!this.#ready || !this.life.alive) return;
    let missing = this.#target - this.#pending - this.workers.size;
    for (; missing > 0 && !this.#pauses; missing -= 1) {
      this.#pending += 1;
      this.driver.request();
    }
    for (const n of [...this.driver.waiting].reverse()) {
      if (missing >= 0) break;
      missing += 1;
      this.#pending -= 1;
      this.driver.cancel(n);
    }
    for (const worker of [...this.workers.keys()].reverse().slice(0, -missing)) {
      if (missing < 0) this.#giveBack(worker);
    }
  }

  #giveBack(worker: string): void {
    this.workers.delete(worker);
    this.driver.release(worker);
    this.#onGivenBack(worker);
  }

  #watch(): void {
    this.life.clock.after(1000, () => {
      const now = this.life.clock.now();
      for (const [id, worker] of this.workers) {
        const late = !worker.registered && now - worker.since > registrationTimeoutMs;
        const dead = worker.lostAt !== undefined && now - worker.lostAt > heartbeatTimeoutMs;
        if (late || dead) this.#giveBack(id);
      }
      this.#declare();
      this.#watch();
    });
  }
}

/** Flink's side of the cluster: JobManagers one after the other, and the TaskManagers that register. */
export class Flink {
  readonly #world: World;
  readonly #server: BusServer;
  readonly #subjects: Subjects;
  readonly #running = new Set<string>();
  readonly #fail: (worker: string) => void;
  #count = 0;
  #target: number;
  #over = false;
  #heard = false;
  /** The JobManager that leads on Flink's side; earlier ones may not know yet that they do not. */
  leader: JobManager | undefined;
  readonly all: JobManager[] = [];

  constructor(
    world: World,
    server: BusServer,
    subjects: Subjects,
    target: number,
    fail: (worker: string) => void,
  ) {
    this.#world = world;
    this.#server = server;
    this.#subjects = subjects;
    this.#target = target;
    this.#fail = fail;
    this.start();
  }

  get target(): number {
    return this.#target;
  }

  /** A new JobManager takes over. */
  start(): void {
    this.#count += 1;
    const name = `driver${this.#count}`;
    this.#world.history.note('flink', 'start', name);
    const former = this.leader;
    if (former !== undefined) {
      // It notices after a while that it does not lead any more.
      const noticeMs = this.#world.random.span(0, 20_000);
      this.#world.time.after(noticeMs, () => former.life.crash('it leads no more'));
    }
    const manager = new JobManager(
      this.#world,
      name,
      this.#server,
      this.#subjects,
      this.#target,
      // A TaskManager that was let go registers anew, is refused, and ends itself in the end.
      (worker) => {
        if (this.#running.has(worker)) this.#register(worker, 300_000);
      },
    );
    this.leader = manager;
    this.all.push(manager);
    for (const worker of this.#running) this.#register(worker, 300_000);
    if (this.#over) this.end();
    manager.life.onDeath(() => {
      this.#world.time.after(this.#world.random.span(1000, 10_000), () => {
        if (this.leader !== manager || this.#heard) return;
        this.start();
      });
    });
  }

  need(target: number): void {
    this.#target = target;
    this.leader?.need(target);
  }

  /** The cluster ends: whoever leads says so, until it is heard. */
  end(): void {
    this.#over = true;
    const manager = this.leader;
    manager?.driver.deregister(() => {
      this.#heard = true;
      manager.life.crash('the cluster has ended');
    });
  }

  /** A TaskManager's process runs, or has ended. */
  task(worker: string, running: boolean): void {
    if (running) {
      this.#running.add(worker);
      this.#register(worker, 300_000);
    } else {
      this.#running.delete(worker);
      this.leader?.lost(worker);
    }
  }

  /** As a TaskManager does: again and again for five minutes, then it ends itself. */
  #register(worker: string, leftMs: number): void {
    const { time, random } = this.#world;
    const manager = this.leader;
    time.after(random.span(500, 2000), () => {
      if (!this.#running.has(worker) || manager !== this.leader) return;
      if (manager?.life.alive === true && manager.register(worker)) return;
      time.after(refusedPauseMs, () => {
        if (leftMs <= 0) this.#fail(worker);
        else if (manager === this.leader) this.#register(worker, leftMs - refusedPauseMs);
      });
    });
  }
}
