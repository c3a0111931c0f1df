import type { Offer } from '#proto/mesos/types.ts';
import type { TickMessage } from '#proto/messages.ts';
import type {
  AgentRecord,
  FrameworkRecord,
  LaunchesRecord,
  RecordPaths,
  WorkerRecord,
} from '#proto/records.ts';
import type { ClusterSettings, SpecRecord } from '#proto/spec.ts';
import type { Decision, Moment, Reason } from '#runtime/function.ts';
import { checkOf, type Versioned } from '#runtime/store/ops.ts';
import type { StoreOp } from '#runtime/store/store.ts';
import type { Effect, Registration } from '../shared/effect.ts';
import type { Heard, HeardOutcome } from '../shared/heard.ts';
import { patched, takenBack, workerChanged, workerWrites } from '../shared/worker.ts';
import { byAgent, match, type Placement } from './rules/match.ts';
import { taskInfo } from './rules/task-info.ts';

export interface OffersState {
  readonly paths: RecordPaths;
  readonly framework: Versioned<FrameworkRecord> | undefined;
  readonly spec: Versioned<SpecRecord> | undefined;
  readonly launches: LaunchesRecord | undefined;
  /** How many workers wait in all; `waiting` holds those that were read, in the order to serve them. */
  readonly waitingCount: number;
  readonly waiting: readonly Versioned<WorkerRecord>[];
  /** Agents on which launches failed. */
  readonly agents: ReadonlyMap<string, AgentRecord>;
  /** Workers of ACCEPTs that were certainly not applied. */
  readonly refused: ReadonlyMap<string, Versioned<WorkerRecord>>;
  /** When the newest of them became wanted; read when a tick came. */
  readonly newestAt?: number;
  /** When this copy last sent REVIVE: a hint that spares repeats. */
  readonly revivedAt: number;
}

type OffersDecision = Decision<Effect>;

/** What is decided upon: offers are answered only while nothing stands against launching. */
interface Ground {
  readonly state: OffersState;
  readonly framework: Versioned<FrameworkRecord>;
  readonly settings: ClusterSettings;
  readonly registration: Registration;
  readonly moment: Moment;
}

/** A burst of new workers makes one REVIVE, not hundreds. */
const reviveSpacingMs = 250;
/** While something waits and no offer comes, REVIVE is repeated after 5, 10 ... 60 s. */
const reviveBaseMs = 5000;
const reviveMaxMs = 60_000;
/** Nothing has waited for so long: SUPPRESS. */
const quietMs = 1000;

/** Matches the offers that have arrived with the workers that wait, and keeps REVIVE and SUPPRESS at their level. */
export function decide(
  state: OffersState,
  events: readonly Heard[],
  moment: Moment,
): OffersDecision {
  const { framework, spec } = state;
  if (framework === undefined || spec === undefined) {
    return nothing('no cluster is recorded yet: offers lapse and the gateway declines them');
  }
  const ground: Ground = {
    state,
    framework,
    settings: spec.value.configured,
    registration: { id: framework.value.id, epoch: latestEpoch(framework.value, events) },
    moment,
  };
  const refused = events.filter((event) => event.kind === 'refused');
  if (refused.length > 0) return takeBack(ground, refused, events);
  const offers = events
    .filter((event) => event.kind === 'offers')
    .filter((event) => event.epoch === ground.registration.epoch)
    .flatMap((event) => event.offers);
  const answered = offers.length > 0 ? answer(ground, offers) : nothing();
  const level = levels(ground, events, answered);
  return {
    writes: answered.writes,
    effects: [...answered.effects, ...level.effects],
    reasons: [...answered.reasons, ...level.reasons],
    ...(level.fromAbsence === true ? { fromAbsence: true } : {}),
  };
}

/** Offers of an older epoch are void; a newer one than was read shows that the read was late. */
function latestEpoch(framework: FrameworkRecord, events: readonly Heard[]): number {
  const epochs = events.map((event) => (event.kind === 'offers' ? event.epoch : 0));
  return Math.max(framework.epoch, ...epochs);
}

/** Every offer is used or declined at once; nothing is held. */
function answer(ground: Ground, offers: readonly Offer[]): OffersDecision {
  const { state, settings, moment } = ground;
  const no = standsAgainst(ground);
  if (no !== undefined) return declineAll(ground, offers, settings.offers.refuseSeconds, no);
  if (state.waitingCount === 0) {
    const seconds = settings.offers.idleRefuseSeconds;
    return declineAll(ground, offers, seconds, 'no worker waits');
  }
  const agents = byAgent(offers);
  const workers = state.waiting.map((read) => read.value);
  const { placements, reasons } = match(workers, agents, state.agents, settings, moment.now);
  const used = new Set(placements.map((placement) => placement.agentId));
  const unused = agents.filter((agent) => !used.has(agent.agentId));
  // Where none was read the index is ahead of the records: the same offers again would only spin.
  const allPlaced = workers.length > 0 && placements.length === workers.length;
  const more = allPlaced && state.waitingCount > workers.length;
  const launched = launch(ground, placements, agents);
  const left = unused.flatMap((agent) => agent.offers);
  return {
    writes: launched.writes,
    effects: [
      ...launched.effects,
      ...(more && left.length > 0
        ? [again(ground, left)]
        : declines(ground, left, settings.offers.refuseSeconds)),
    ],
    reasons: [
      ...launched.reasons,
      ...(more ? [] : [...reasons].map(([agentId, why]) => ({ about: agentId, why }))),
    ],
  };
}

function launch(
  ground: Ground,
  placements: readonly Placement[],
  agents: ReturnType<typeof byAgent>,
): OffersDecision {
  const { state, settings, moment, registration } = ground;
  if (placements.length === 0) return nothing();
  const waiting = new Map(state.waiting.map((read) => [read.value.id, read]));
  const offersOf = new Map(
    agents.map((agent) => [agent.agentId, agent.offers.map((offer) => offer.id.value)]),
  );
  const writes: StoreOp[] = [checkOf(ground.framework)];
  const tasks = new Map<string, ReturnType<typeof taskInfo>[]>();
  const changed: Effect[] = [];
  const reasons: Reason[] = [];
  for (const placement of placements) {
    const read = waiting.get(placement.worker);
    if (read === undefined) continue;
    const { agentId, hostname, ports } = placement;
    const offerIds = offersOf.get(agentId) ?? [];
    const why = `placed on ${hostname} (agent ${agentId}): the first offer that suffices`;
    const next = patched(
      read.value,
      {
        state: 'launching',
        agentId,
        hostname,
        ports,
        launch: { op: moment.op, offerIds, epoch: registration.epoch, at: moment.now },
        spoke: registration.epoch,
        due: moment.now + settings.failures.launchTimeoutMs,
        why,
      },
      moment,
    );
    writes.push(...workerWrites(read, next, state.paths));
    const list = tasks.get(agentId) ?? [];
    tasks.set(agentId, [...list, taskInfo(next, placement, settings)]);
    changed.push(workerChanged(next));
    reasons.push({ about: next.id, why });
  }
  const accepts = [...tasks].map(
    ([agentId, list]): Effect => ({
      kind: 'accept',
      framework: registration,
      offerIds: offersOf.get(agentId) ?? [],
      tasks: list,
      // The rest of the agent is wanted at once where others still wait.
      refuseSeconds: state.waitingCount > placements.length ? 0 : settings.offers.refuseSeconds,
      op: moment.op,
    }),
  );
  return { writes, effects: [...accepts, ...changed], reasons };
}

/** An ACCEPT that was certainly not sent: its workers wait again. */
function takeBack(
  ground: Ground,
  refused: readonly HeardOutcome[],
  events: readonly Heard[],
): OffersDecision {
  const { state, moment } = ground;
  const writes: StoreOp[] = [];
  const effects: Effect[] = [];
  const reasons: Reason[] = [];
  for (const { workers, op, why } of refused) {
    for (const id of workers) {
      const read = state.refused.get(id);
      const worker = read?.value;
      if (read === undefined || worker?.state !== 'launching') continue;
      if (worker.launch?.op !== op || worker.status !== undefined) continue;
      const next = takenBack(worker, `the ACCEPT was not sent (${why})`, moment);
      writes.push(...workerWrites(read, next, state.paths));
      effects.push(workerChanged(next));
      reasons.push({ about: id, why: next.why });
    }
  }
  const others = events.filter((event) => event.kind === 'offers');
  return {
    writes,
    effects: [...effects, ...others.map((event): Effect => ({ kind: 'again', event }))],
    reasons,
  };
}

/** REVIVE and SUPPRESS are levels: what should hold now, whatever was sent before. */
function levels(
  ground: Ground,
  events: readonly Heard[],
  answered: OffersDecision,
): OffersDecision {
  const { state, moment, registration } = ground;
  if (ground.framework.value.state !== 'active') return nothing();
  const tick = events.findLast((event) => event.kind === 'tick')?.tick;
  const current = tick?.subscribed === true && tick.epoch === registration.epoch ? tick : undefined;
  const placed = answered.effects.filter((effect) => effect.kind === 'changed').length;
  const waits = state.waitingCount - placed > 0;
  if (!waits) {
    if (current === undefined || state.waitingCount > 0 || !quiet(current)) return nothing();
    return {
      writes: [],
      effects: [{ kind: 'suppress', framework: registration }],
      reasons: [{ about: 'offers', why: 'no worker waits: no offers are wanted' }],
      fromAbsence: true,
    };
  }
  if (standsAgainst(ground) !== undefined) return nothing();
  // What was placed leaves room on its agents, and no offer is left over for those that wait on.
  const outran = placed > 0 && placed === state.waiting.length && !asksAgain(answered);
  const asked = events.some((event) => event.kind === 'changed' && event.state === 'wanted');
  const why = outran
    ? 'more workers wait than one decision places'
    : reviveReason(asked, state.newestAt ?? 0, current);
  if (why === undefined) return nothing();
  if (!outran && moment.now - state.revivedAt < reviveSpacingMs) return nothing();
  return {
    writes: [],
    effects: [{ kind: 'revive', framework: registration }],
    reasons: [{ about: 'offers', why }],
  };
}

function asksAgain({ effects }: OffersDecision): boolean {
  return effects.some((effect) => effect.kind === 'again');
}

function reviveReason(
  asked: boolean,
  newestAt: number,
  tick: TickMessage | undefined,
): string | undefined {
  if (asked) return 'a worker waits: offers are wanted now';
  if (tick === undefined) return undefined;
  if (tick.suppressed) return 'a worker waits while offers are suppressed';
  if (newestAt > tick.revivedAt) return 'a worker waits since after the last REVIVE';
  const pause = Math.min(reviveMaxMs, reviveBaseMs * 2 ** Math.max(0, tick.revives - 1));
  // All by the gateway's clock: ours may differ from it.
  const silence = tick.time - Math.max(tick.offersAt, tick.revivedAt);
  return silence >= pause ? `a worker waits and no offer came for ${silence} ms` : undefined;
}

function quiet(tick: TickMessage): boolean {
  return !tick.suppressed && tick.time - tick.revivedAt >= quietMs;
}

/** What forbids any launch now, as a sentence. */
function standsAgainst({ framework, state, moment }: Ground): string | undefined {
  const { held, state: life } = framework.value;
  if (life !== 'active') return `the framework is ${life}`;
  if (held !== undefined) return `held: ${held.why}`;
  const notBefore = state.launches?.notBefore ?? 0;
  if (notBefore > moment.now) {
    return `launches pause for ${notBefore - moment.now} ms after too many failures`;
  }
  return undefined;
}

function declineAll(
  ground: Ground,
  offers: readonly Offer[],
  refuseSeconds: number,
  why: string,
): OffersDecision {
  return {
    writes: [],
    effects: declines(ground, offers, refuseSeconds),
    reasons: byAgent(offers).map(({ agentId }) => ({ about: agentId, why })),
  };
}

function declines(ground: Ground, offers: readonly Offer[], refuseSeconds: number): Effect[] {
  if (offers.length === 0) return [];
  const offerIds = offers.map((offer) => offer.id.value);
  return [{ kind: 'decline', framework: ground.registration, offerIds, refuseSeconds }];
}

function again(ground: Ground, offers: readonly Offer[]): Effect {
  const { epoch } = ground.registration;
  return { kind: 'again', event: { kind: 'offers', epoch, offers } };
}

function nothing(why?: string): OffersDecision {
  return {
    writes: [],
    effects: [],
    reasons: why === undefined ? [] : [{ about: 'offers', why }],
  };
}
