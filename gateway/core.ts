import { type FrameworkRecord, frameworkRecord } from '#proto/records.ts';
import { type SpecRecord, specRecord } from '#proto/spec.ts';
import { sleep, type Timer } from '#runtime/clock.ts';
import { DreyError } from '#runtime/errors.ts';
import { type Candidate, elect } from '#runtime/store/election.ts';
import type { Versioned } from '#runtime/store/ops.ts';
import { readRecord } from '#runtime/store/records.ts';
import { rememberReads } from '#runtime/store/remembered.ts';
import type { Store } from '#runtime/store/store.ts';
import { sameSettings, sharedSettings } from './core/cluster-records.ts';
import { FrameworkBook } from './core/framework.ts';
import { Reign, type ReignEnd } from './core/reign.ts';
import type { GatewaySurroundings } from './core/surroundings.ts';

const lookMs = 2000;
const storeRetryMs = 500;

/** How a gateway has ended. */
export type GatewayEnd =
  /** The cluster has ended: there is nothing left to do. */
  | { readonly kind: 'ended' }
  /** It was told to stop; the framework lives on. */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly error: DreyError };

/** What health checks and the page show. */
export interface GatewayStatus {
  readonly id: string;
  readonly leads: boolean;
  readonly subscribed: boolean;
  readonly epoch: number;
  readonly lent: number;
  readonly suppressed: boolean;
  /** Why this gateway is not ready. */
  readonly unready: string | undefined;
}

/** A gateway that leads or stands by. */
export interface Gateway {
  readonly status: GatewayStatus;
  /** Resolves once, when it has nothing more to do. */
  readonly finished: Promise<GatewayEnd>;
  /** Resolves when it has first subscribed, or stands by while another leads. */
  readonly ready: Promise<void>;
  /** Steps down without tearing the framework down. */
  stop(): Promise<void>;
}

/**
 * Stands for election and, while it leads, carries events from Mesos to the functions and their
 * calls back. Built on interfaces alone, so that a simulation can own time, store, bus and Mesos.
 */
export function startGateway(surroundings: GatewaySurroundings): Gateway {
  const gateway = new Standing(surroundings);
  gateway.start();
  return gateway;
}

class Standing implements Gateway {
  readonly finished: Promise<GatewayEnd>;
  readonly ready: Promise<void>;
  readonly #part: GatewaySurroundings;
  readonly #book: FrameworkBook;
  /** What a standby looks at every 2 s is read when it has changed. */
  readonly #seen: Store;
  #compared: Versioned<SpecRecord> | undefined;
  readonly #finish: (end: GatewayEnd) => void;
  readonly #getReady: () => void;
  #over = false;
  #candidate: Candidate | undefined;
  /** Counts leads won and lost: a reign belongs to one of them. */
  #term = 0;
  #reign: Reign | undefined;
  #reigns: Promise<void> = Promise.resolve();
  /** Id of a cluster that had ended before we began. */
  #mayFollow: string | undefined;
  #differs = false;
  /** Whether a reign that begins now is led from this process' start. */
  #fresh = true;
  #timer: Timer | undefined;

  constructor(part: GatewaySurroundings) {
    this.#part = part;
    this.#book = new FrameworkBook(part);
    const { store, clock, paths } = part;
    const looked = { nodes: [paths.framework, paths.spec], folders: [] };
    this.#seen = rememberReads(store, clock, looked);
    const finished = Promise.withResolvers<GatewayEnd>();
    this.finished = finished.promise;
    this.#finish = finished.resolve;
    const ready = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.#getReady = ready.resolve;
  }

  start(): void {
    void this.#begin();
  }

  get status(): GatewayStatus {
    const epoch = this.#reign?.epoch;
    const leads = this.#leads(this.#term);
    const subscribed = leads && (epoch?.subscribed ?? false);
    return {
      id: this.#part.id,
      leads,
      subscribed,
      epoch: epoch?.number ?? 0,
      lent: epoch?.calls.lent.size ?? 0,
      suppressed: epoch?.calls.levels.suppressed ?? false,
      unready: this.#unready(leads, subscribed),
    };
  }

  #unready(leads: boolean, subscribed: boolean): string | undefined {
    if (this.#over) return 'it has stopped';
    if (leads && !subscribed) return 'it leads, but no subscription to Mesos stands';
    if (!leads && this.#differs) {
      return 'it stands by with a configuration that differs from that of the leading gateway';
    }
    if (!this.#part.bus.connected) return 'NATS is away (drey.nats.servers)';
    return this.#part.store.session === 'connected'
      ? undefined
      : 'ZooKeeper is away (drey.zookeeper.quorum)';
  }

  async #begin(): Promise<void> {
    const former = await this.#untilStore(async () => ({ at: await this.#book.read() }));
    const record = former?.at?.value;
    if (record?.state === 'ended' && this.#part.joins !== true) this.#mayFollow = record.id;
    await this.#stand();
    this.#lookAgain();
  }

  /** Enters the election, again after having been deposed. */
  async #stand(): Promise<void> {
    const { store, clock, paths, id, log } = this.#part;
    const candidate = await this.#untilStore(() =>
      elect({
        store,
        clock,
        path: paths.leader,
        data: id,
        log,
        onLead: () => this.#onLead(),
        onLose: () => this.#onLose(),
      }),
    );
    if (candidate === undefined) return;
    if (this.#over) {
      await candidate.resign();
      return;
    }
    this.#candidate = candidate;
    if (!candidate.leads) {
      this.#fresh = false;
      log.info({ id }, 'standing by: another gateway leads');
      this.#getReady();
    }
  }

  #onLead(): void {
    this.#term += 1;
    const term = this.#term;
    this.#reigns = this.#reigns.then(() => this.#rule(term));
  }

  #onLose(): void {
    this.#term += 1;
    this.#reign?.leave();
  }

  #leads(term: number): boolean {
    // The lead can be won before `elect` has told us of our place; it is then ours for certain.
    return !this.#over && this.#term === term && (this.#candidate?.leads ?? false);
  }

  async #rule(term: number): Promise<void> {
    while (this.#candidate === undefined && this.#term === term && !this.#over) {
      await sleep(this.#part.clock, 10);
    }
    if (!this.#leads(term)) return;
    const reign = new Reign(this.#part, {
      leads: () => this.#leads(term),
      mayFollow: this.#mayFollow,
      giveUpAfterMs: this.#fresh ? this.#part.giveUpAfterMs : undefined,
      onReady: this.#getReady,
    });
    this.#fresh = false;
    this.#reign = reign;
    const end = await reign.run();
    this.#reign = undefined;
    await this.#afterReign(end);
  }

  async #afterReign(end: ReignEnd): Promise<void> {
    const { log } = this.#part;
    if (end.kind === 'ended') await this.#conclude({ kind: 'ended' });
    if (end.kind === 'failed') await this.#conclude(end);
    if (end.kind !== 'deposed') return;
    log.warn({}, 'another gateway has taken over: standing by');
    const candidate = this.#candidate;
    this.#candidate = undefined;
    await candidate?.resign();
    await sleep(this.#part.clock, storeRetryMs);
    if (!this.#over) await this.#stand();
  }

  /** A standby looks whether the cluster has ended, and whether it would lead the same cluster. */
  #lookAgain(): void {
    this.#timer = this.#part.clock.after(lookMs, () => {
      void this.#look().then(() => {
        if (!this.#over) this.#lookAgain();
      });
    });
  }

  async #look(): Promise<void> {
    if (this.#leads(this.#term)) return;
    const { paths, settings, log } = this.#part;
    try {
      const record = await readRecord(this.#seen, paths.framework, frameworkRecord);
      if (this.#hasEnded(record?.value)) {
        await this.#conclude({ kind: 'ended' });
        return;
      }
      const spec = await readRecord(this.#seen, paths.spec, specRecord);
      // The same object was compared before.
      if (spec === this.#compared) return;
      this.#compared = spec;
      const differs =
        spec !== undefined &&
        !sameSettings(sharedSettings(spec.value.configured), sharedSettings(settings));
      if (differs && !this.#differs) {
        log.error({}, 'this standby has another configuration than the leading gateway');
      }
      this.#differs = differs;
    } catch (error) {
      // Looked at again in 2 s.
      if (!(error instanceof DreyError)) throw error;
      log.debug({ error }, 'the records could not be read');
    }
  }

  #hasEnded(record: FrameworkRecord | undefined): boolean {
    return record?.state === 'ended' && record.id !== this.#mayFollow;
  }

  async stop(): Promise<void> {
    await this.#conclude({ kind: 'stopped' });
  }

  async #conclude(end: GatewayEnd): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#reign?.leave();
    await this.#candidate?.resign();
    this.#finish(end);
  }

  /** Waits for a store that is away. */
  async #untilStore<T>(step: () => Promise<T>): Promise<T | undefined> {
    while (!this.#over) {
      try {
        return await step();
      } catch (error) {
        if (!(error instanceof DreyError)) throw error;
        if (error.remedy === 'give-up') {
          await this.#conclude({ kind: 'failed', error });
          return undefined;
        }
        this.#part.log.warn({ error }, 'the store is away, trying again');
        await sleep(this.#part.clock, storeRetryMs);
      }
    }
    return undefined;
  }
}
