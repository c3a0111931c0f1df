import type { SchedulerEvent } from '#proto/mesos/types.ts';
import { encodeJson, type TickMessage } from '#proto/messages.ts';
import type { FrameworkRecord } from '#proto/records.ts';
import { sleep, type Timer } from '#runtime/clock.ts';
import { ConfigurationError, DreyError } from '#runtime/errors.ts';
import { SubscribeError } from '../mesos/mesos.ts';
import { subscribeCall } from '../mesos/subscribe.ts';
import { Backoff } from './backoff.ts';
import { prepareRecords } from './cluster-records.ts';
import { Epoch, type EpochEnd } from './epoch.ts';
import { FrameworkBook } from './framework.ts';
import type { GatewaySurroundings } from './surroundings.ts';

const tickMs = 1000;
const storeRetryMs = 500;
/** Texts of ERROR, as masters send them. */
const removedByMesos = 'Framework has been removed';
const takenOver = 'Framework failed over';

/** Why a reign is over. */
export type ReignEnd =
  /** The lead is another's, or we were told to stop. */
  | { readonly kind: 'lost' }
  /** The record or Mesos says that another gateway has taken over while we thought to lead. */
  | { readonly kind: 'deposed' }
  /** The cluster has ended. */
  | { readonly kind: 'ended' }
  /** No master takes us, and waiting does not help. */
  | { readonly kind: 'failed'; readonly error: DreyError };

export interface ReignOptions {
  /** Asks the election, each time. */
  readonly leads: () => boolean;
  /** The id of a cluster that had ended before this process began: it is begun anew. */
  readonly mayFollow: string | undefined;
  /** Set where this process has led from its start. */
  readonly giveUpAfterMs: number | undefined;
  /** Called when a subscription stands, or none is wanted any more. */
  readonly onReady: () => void;
}

/** What a leading gateway does: one subscription after the other, and a tick each second. */
export class Reign {
  readonly #part: GatewaySurroundings;
  readonly #options: ReignOptions;
  readonly #book: FrameworkBook;
  readonly #backoff: Backoff;
  readonly #began: number;
  #epoch: Epoch | undefined;
  /** The framework's epoch as it was last read or raised. */
  #number: number | undefined;
  #raised = false;
  #prepared = false;
  #everSubscribed = false;
  #timer: Timer | undefined;

  constructor(part: GatewaySurroundings, options: ReignOptions) {
    this.#part = part;
    this.#options = options;
    this.#book = new FrameworkBook(part);
    this.#backoff = new Backoff(part.random);
    this.#began = part.clock.elapsed();
  }

  /** The subscription of the moment. */
  get epoch(): Epoch | undefined {
    return this.#epoch;
  }

  /** Until the lead is lost or the cluster has ended. */
  async run(): Promise<ReignEnd> {
    this.#tickAgain();
    try {
      while (this.#options.leads()) {
        const end = await this.#withStore(() => this.#turn());
        if (end !== undefined) return end;
      }
      return { kind: 'lost' };
    } finally {
      this.#timer?.cancel();
      this.#epoch?.finish({ kind: 'left' });
    }
  }

  /** The lead is lost: the stream is closed at once. */
  leave(): void {
    this.#epoch?.finish({ kind: 'left' });
  }

  /** A store that is away is waited for, as long as we lead. */
  async #withStore<T>(step: () => Promise<T>): Promise<T | undefined> {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof DreyError)) throw error;
      this.#part.log.warn({ error }, 'the store did not answer as it should, trying again');
      await sleep(this.#part.clock, storeRetryMs);
      return undefined;
    }
  }

  async #turn(): Promise<ReignEnd | undefined> {
    const framework = await this.#open();
    if (framework === undefined) return undefined;
    this.#number ??= framework.epoch;
    if (framework.state === 'ended') return { kind: 'ended' };
    if (framework.state === 'removed') {
      // `jobs` deletes the records on our ticks and sets `ended`.
      this.#options.onReady();
      await sleep(this.#part.clock, tickMs);
      return undefined;
    }
    return this.#subscribe();
  }

  /** The framework's record, made where it is missing and begun anew where its cluster had ended before. */
  async #open(): Promise<FrameworkRecord | undefined> {
    const follows = (at: FrameworkRecord): boolean =>
      at.state === 'ended' && at.id === this.#options.mayFollow;
    const record = await this.#book.readFresh();
    // The records of a cluster that ends are being deleted: they must not be made again.
    const ends = record?.state === 'removed' || record?.state === 'ended';
    if (record !== undefined && ends && !follows(record)) return record;
    if (!this.#prepared) await prepareRecords(this.#part, this.#options.leads);
    if (!this.#options.leads()) return undefined;
    this.#prepared = true;
    return this.#book.change((at) =>
      at === undefined || follows(at) ? this.#book.begin(at) : undefined,
    );
  }

  async #subscribe(): Promise<ReignEnd | undefined> {
    const { store, paths, mesos, settings, log } = this.#part;
    const framework = await this.#raise();
    if (framework === 'deposed') return { kind: 'deposed' };
    if (framework === undefined) return undefined;
    const { id, epoch: number } = framework;
    // Fresh: the epoch was written in this session just before.
    const suppressed = (await store.list(paths.waiting)).length === 0;
    if (!this.#options.leads()) return undefined;
    const epoch = new Epoch(this.#part, {
      number,
      frameworkId: id,
      suppressed,
      store: (event) => this.#storeMaster(number, event),
      leads: this.#options.leads,
    });
    this.#epoch = epoch;
    log.info({ frameworkId: id, epoch: number, suppressed }, 'subscribing to Mesos');
    mesos.subscribe(subscribeCall(settings.framework, id, suppressed), epoch).then(
      (stream) => epoch.opened(stream),
      (error: unknown) => {
        if (!(error instanceof DreyError)) throw error;
        epoch.finish({ kind: 'unsubscribed', error });
      },
    );
    const end = await epoch.ended;
    return this.#afterwards(epoch, id, end);
  }

  /** The next epoch, by compare-and-set; undefined when the framework is not open any more. */
  async #raise(): Promise<FrameworkRecord | 'deposed' | undefined> {
    const { id } = this.#part;
    let verdict: 'raised' | 'deposed' | undefined;
    const record = await this.#book.change((at) => {
      const open = at?.state === 'active' || at?.state === 'ending';
      verdict = undefined;
      if (at === undefined || !open) return undefined;
      // Whoever raised it in our reign took over while we still thought to lead.
      verdict = this.#raised && at.gateway !== id ? 'deposed' : 'raised';
      return verdict === 'raised' ? { ...at, epoch: at.epoch + 1, gateway: id } : undefined;
    });
    if (verdict !== 'raised' || record === undefined) return verdict && 'deposed';
    this.#raised = true;
    this.#number = record.epoch;
    return record;
  }

  /** Stores the master's id where it is new; false when the epoch is not ours any more. */
  async #storeMaster(number: number, event: SchedulerEvent): Promise<boolean> {
    const { clock, log } = this.#part;
    const masterId = event.subscribed?.master_info?.id;
    while (this.#options.leads() && this.#epoch?.number === number) {
      const stored = await this.#withStore(async () => {
        const record = await this.#book.change((at) => {
          if (at === undefined || at.epoch !== number || masterId === undefined) return undefined;
          if (at.masterId === masterId) return undefined;
          const changed = at.masterId === undefined ? {} : { masterChangedAt: clock.now() };
          return { ...at, masterId, ...changed };
        });
        return record?.epoch === number;
      });
      if (stored === undefined) continue;
      if (stored) {
        log.info({ epoch: number, masterId }, 'subscribed to Mesos');
        this.#backoff.reset();
        this.#everSubscribed = true;
        this.#options.onReady();
      }
      return stored;
    }
    return false;
  }

  async #afterwards(
    epoch: Epoch,
    frameworkId: string,
    end: EpochEnd,
  ): Promise<ReignEnd | undefined> {
    const { clock, id, log } = this.#part;
    if (!this.#options.leads()) return undefined;
    const said = end.kind === 'error' ? end.message : undefined;
    const tell = said === undefined || said === takenOver ? log.warn : log.error;
    tell.call(log, { epoch: epoch.number, ...end }, 'the subscription to Mesos has ended');
    const tornDown = (await epoch.calls.teardown)?.outcome === 'sent';
    if (said === removedByMesos) {
      await this.#persist(() => this.#onRemoved(frameworkId));
    } else if (said === takenOver) {
      const record = await this.#book.readFresh();
      if (record?.gateway !== id || record.epoch !== epoch.number) return { kind: 'deposed' };
    } else if (tornDown) {
      await this.#persist(() => this.#onTornDown(frameworkId));
    } else {
      const error = this.#givenUp(end);
      if (error !== undefined) return { kind: 'failed', error };
    }
    const askedMs = end.kind === 'unsubscribed' ? retryAfterOf(end.error) : 0;
    await sleep(clock, this.#backoff.next(askedMs));
    return undefined;
  }

  /** What must be written whatever the store does meanwhile, as long as we lead. */
  async #persist(write: () => Promise<true>): Promise<void> {
    while (this.#options.leads() && (await this.#withStore(write)) !== true);
  }

  async #onRemoved(frameworkId: string): Promise<true> {
    const { log } = this.#part;
    const record = await this.#book.change((at) => {
      if (at === undefined || at.id !== frameworkId) return undefined;
      if (at.state === 'ending') return { ...at, state: 'removed' };
      return at.state === 'active' ? this.#book.replaceId(at) : undefined;
    });
    if (record?.state === 'active') {
      const facts = { removed: frameworkId, frameworkId: record.id };
      log.error(
        facts,
        'Mesos has removed the framework and all its tasks: a new one is registered',
      );
    }
    return true;
  }

  async #onTornDown(frameworkId: string): Promise<true> {
    await this.#book.change((at) =>
      at?.id === frameworkId && at.state === 'ending' ? { ...at, state: 'removed' } : undefined,
    );
    return true;
  }

  /** The error to end with, where a first subscription does not come about. */
  #givenUp(end: EpochEnd): DreyError | undefined {
    const { giveUpAfterMs } = this.#options;
    if (giveUpAfterMs === undefined || this.#everSubscribed) return undefined;
    if (end.kind === 'error') return refusal(`Mesos refuses the framework: ${end.message}`);
    if (end.kind !== 'unsubscribed') return undefined;
    if (end.error instanceof ConfigurationError) return end.error;
    const { error } = end;
    const waited = this.#part.clock.elapsed() - this.#began;
    const hopeless = error instanceof SubscribeError && error.hopeless;
    return hopeless || waited >= giveUpAfterMs ? refusal(error.message) : undefined;
  }

  #tickAgain(): void {
    this.#timer = this.#part.clock.after(tickMs, () => {
      // The lead may be in doubt at this moment and yet not lost: only the reign's end stops the timer.
      if (this.#options.leads()) this.#tick();
      this.#tickAgain();
    });
  }

  #tick(): void {
    const { bus, clock, subjects, id } = this.#part;
    const epoch = this.#epoch;
    epoch?.tick();
    if (this.#number === undefined) return;
    const levels = epoch?.calls.levels;
    const tick: TickMessage = {
      time: clock.now(),
      epoch: this.#number,
      gateway: id,
      subscribed: epoch?.subscribed ?? false,
      missed: epoch?.requests.missed ?? 0,
      offersAt: levels?.offersAt ?? 0,
      revivedAt: levels?.revivedAt ?? 0,
      revives: levels?.revives ?? 0,
      suppressed: levels?.suppressed ?? false,
      lent: epoch?.calls.lent.size ?? 0,
    };
    bus.publish(subjects.tick, encodeJson(tick));
  }
}

function retryAfterOf(error: Error): number {
  return (error instanceof SubscribeError && error.retryAfterMs) || 0;
}

/** Which key a master's refusal is about, by its words. */
const refusals: readonly {
  readonly says: RegExp;
  readonly key: string;
  readonly remedy: string;
}[] = [
  {
    says: /failover_timeout/,
    key: 'mesos.failover-timeout',
    remedy: 'set it to seconds that Mesos takes',
  },
  {
    says: /\b40[13]\b|principal/,
    key: 'framework.principal',
    remedy: 'check it and its secret',
  },
  { says: /\brole/, key: 'framework.role', remedy: 'name a role that this master allows' },
  {
    says: /[Aa]uthoriz/,
    key: 'framework.principal',
    remedy: 'check what this principal may do',
  },
];

function refusal(why: string): DreyError {
  const framework = 'mesos.resourcemanager.framework';
  const found = refusals.find(({ says }) => says.test(why));
  const { key, remedy } = found ?? {
    key: 'mesos.master',
    remedy: 'check that it names a Mesos master that runs',
  };
  return new ConfigurationError(key.replace('framework', framework), `${why}; ${remedy}`);
}
