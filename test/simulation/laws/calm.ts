import type { Laws, Watched } from './laws.ts';

/** An offer is decided within this time while a gateway leads and functions live. */
const offerMs = 10_000;
/** What waits is revived within this time. */
const reviveMs = 15_000;
/** A driver whose session does not hold Flink's side any more learns it within this time. */
const supersededMs = 30_000;
/** And the subscription must have stood for so long. */
const connectedMs = 20_000;
/** After so long in the calm nothing is on its way that was decided before. */
const thawedMs = 30_000;
/** A SUPPRESS that comes so soon behind a REVIVE denies it. */
const behindMs = 500;
/** A copy decides SUPPRESS by what waited so long before, and cannot know of a worker that came since. */
const unknownMs = 100;
/** How long the world is given after the last fault: a stream that fell silent is noticed after 45 s. */
const settleMs = 110_000;

/** The laws that hold once faults have stopped: looked at every second. */
export class CalmLaws {
  readonly #watched: Watched;
  readonly #laws: Laws;
  /** The session of the JobManager that leads on Flink's side. */
  readonly #session: () => string | undefined;
  #calmSince: number | undefined;
  #connectedSince: number | undefined;
  #silencedSince: number | undefined;
  #strangerSince: number | undefined;
  /** The last REVIVE, and who waited then. */
  #revive: { readonly at: number; readonly waiting: readonly string[] } = { at: 0, waiting: [] };
  /** Since when each worker that waits was seen to wait. */
  #waits: ReadonlyMap<string, number> = new Map();

  constructor(watched: Watched, laws: Laws, session: () => string | undefined) {
    this.#watched = watched;
    this.#laws = laws;
    this.#session = session;
    watched.mesos.onCall((call, answer) => {
      if (answer.status !== 202) return;
      if (call.type === 'REVIVE') this.#revives();
      if (call.type === 'SUPPRESS') this.#suppresses();
    });
    this.#look();
  }

  #revives(): void {
    const { world, records } = this.#watched;
    this.#revive = { at: world.time.now(), waiting: records.waiting };
  }

  /** SUPPRESS is a level: it is sent when nothing has waited for a while. */
  #suppresses(): void {
    const { world, records } = this.#watched;
    const now = world.time.now();
    const { at, waiting } = this.#revive;
    if (this.#calmSince === undefined || now - this.#calmSince < thawedMs) return;
    const known = (id: string): boolean => now - (this.#waits.get(id) ?? now) >= unknownMs;
    const waits = records.waiting.filter((id) => waiting.includes(id) && known(id));
    if (now - at > behindMs || waits.length === 0) return;
    const what = `SUPPRESS ${now - at} ms behind the REVIVE for ${waits.join(' ')}`;
    this.#laws.broken('never suppressed while a worker waits', what, waits);
  }

  calm(): void {
    this.#calmSince = this.#watched.world.time.now();
  }

  #look(): void {
    const { time } = this.#watched.world;
    time.after(1000, () => {
      const now = time.now();
      const { waiting } = this.#watched.records;
      this.#waits = new Map(waiting.map((id) => [id, this.#waits.get(id) ?? now]));
      this.#offers(time.now());
      this.#revived(time.now());
      this.#superseded(time.now());
      this.#look();
    });
  }

  #offers(now: number): void {
    const { mesos } = this.#watched;
    const master = mesos.master;
    const streams = [...(master?.frameworks.values() ?? [])].filter((one) => one.stream);
    this.#connectedSince = streams.length > 0 ? (this.#connectedSince ?? now) : undefined;
    const settled = this.#settled(now) && now - (this.#connectedSince ?? now) > connectedMs;
    if (!settled || master === undefined) return;
    for (const offer of master.offers.values()) {
      const ageMs = now - offer.madeAt;
      if (ageMs <= offerMs) continue;
      const what = `${offer.id} is ${ageMs} ms old`;
      this.#laws.broken('no offer is undecided for more than 10 s', what, [offer.id.slice(-8)]);
    }
  }

  #revived(now: number): void {
    const { mesos, records } = this.#watched;
    const frameworks = [...(mesos.master?.frameworks.values() ?? [])];
    const silent = frameworks.some((one) => one.suppressed.size > 0);
    const { state, held } = records.framework ?? {};
    // Held, nothing is launched: a person decides first.
    const waits = records.waiting.length > 0 && state === 'active' && held === undefined;
    if (!silent || !waits || !this.#settled(now)) {
      this.#silencedSince = undefined;
      return;
    }
    this.#silencedSince ??= now;
    if (now - this.#silencedSince <= reviveMs) return;
    const what = `${records.waiting.join(' ')} waits, suppressed for ${now - this.#silencedSince} ms`;
    this.#laws.broken('never suppressed while a worker waits', what, records.waiting);
  }

  #superseded(now: number): void {
    const { driver, framework } = this.#watched.records;
    const session = this.#session();
    const holds = session === undefined || driver === undefined || driver.session === session;
    if (holds || framework?.state !== 'active' || this.#calmSince === undefined) {
      this.#strangerSince = undefined;
      return;
    }
    this.#strangerSince ??= now;
    if (now - this.#strangerSince <= supersededMs) return;
    const what = `${session} leads on Flink's side, ${driver.session} holds it`;
    this.#laws.broken('a superseded driver learns it', what, ['demand.']);
  }

  #settled(now: number): boolean {
    return this.#calmSince !== undefined && now - this.#calmSince > settleMs;
  }
}
