import {
  type AgentRecord,
  agentRecord,
  frameworkRecord,
  launchesRecord,
  type RecordPaths,
  type WorkerRecord,
  workerRecord,
} from '#proto/records.ts';
import { specRecord } from '#proto/spec.ts';
import type { UnreadableRecordError } from '#runtime/errors.ts';
import type { FunctionDefinition } from '#runtime/function.ts';
import type { Versioned } from '#runtime/store/ops.ts';
import {
  type NoteUnreadable,
  readExisting,
  readReadable,
  readRecord,
} from '#runtime/store/records.ts';
import type { Store } from '#runtime/store/store.ts';
import type { FunctionContext } from '../shared/context.ts';
import { type Effect, showEffect } from '../shared/effect.ts';
import type { Heard } from '../shared/heard.ts';
import { hearsChanged, hearsOffers, hearsTick } from '../shared/hears.ts';
import { labelOf } from '../shared/label.ts';
import { performer } from '../shared/perform.ts';
import { decide, type OffersState } from './decide.ts';

/** The list of those that wait is turned after so long. */
const turnMs = 5000;
/** Workers placed by one decision: their writes stay well below the limits of one transaction. */
const workersAtOnce = 100;
const avoidUnreadMs = 60_000;

/** Which waiting worker goes where; ACCEPT, DECLINE, SUPPRESS, REVIVE. */
export function offersFunction(
  context: FunctionContext,
): FunctionDefinition<OffersState, Heard, Effect> {
  const { subjects, paths, clock } = context;
  const perform = performer(context);
  let revivedAt = -Infinity;
  return {
    name: 'offers',
    description: 'matches offers with waiting workers',
    hears: [hearsOffers(subjects), hearsChanged(subjects, 'worker'), hearsTick(subjects)],
    label: labelOf,
    show: showEffect,
    load: async (store, events, note) => ({
      ...(await loadState({ store, paths, note }, events, clock.now())),
      // As if read from the clock that the decision reads, however that was set since.
      revivedAt: clock.now() - (clock.elapsed() - revivedAt),
    }),
    decide,
    perform: async (effect, headers) => {
      if (effect.kind === 'revive') revivedAt = clock.elapsed();
      return perform(effect, headers);
    },
    barrier: paths.framework,
  };
}

/** What records are read with. */
interface Ground {
  readonly store: Store;
  readonly paths: RecordPaths;
  readonly note: NoteUnreadable;
}

async function loadState(
  ground: Ground,
  events: readonly Heard[],
  now: number,
): Promise<Omit<OffersState, 'revivedAt'>> {
  const { store, paths, note } = ground;
  const offered = new Set(
    events.flatMap((event) =>
      event.kind === 'offers' ? event.offers.map((offer) => offer.agent_id.value) : [],
    ),
  );
  const refusedIds = events.flatMap((event) => (event.kind === 'refused' ? event.workers : []));
  const [framework, spec, launches, waitingIds, avoided, refused] = await Promise.all([
    readRecord(store, paths.framework, frameworkRecord),
    readRecord(store, paths.spec, specRecord),
    readRecord(store, paths.launches, launchesRecord),
    store.list(paths.waiting),
    avoidedAgents(ground, offered, now),
    readExisting(store, refusedIds.map(paths.worker), workerRecord),
  ]);
  const room = Math.min(workersAtOnce, roomFor(events, spec?.value.configured.worker.size.cpus));
  const chosen = turned(waitingIds, offered, Math.floor(now / turnMs)).slice(0, room);
  const waiting = await readReadable(store, chosen.map(paths.worker), workerRecord, note);
  const newest = events.some((event) => event.kind === 'tick') ? waitingIds.at(-1) : undefined;
  const newestPath = newest === undefined ? [] : [paths.worker(newest)];
  const [newestWorker] = await readReadable(store, newestPath, workerRecord, note);
  const newestAt = newestWorker?.value.times.wanted;
  return {
    paths,
    framework,
    spec,
    launches: launches?.value,
    waitingCount: waitingIds.length,
    waiting: waiting.filter((read) => read.value.state === 'wanted'),
    agents: avoided,
    refused: byId(refused),
    ...(newestAt === undefined ? {} : { newestAt }),
  };
}

/** An agent whose record cannot be read is avoided until it can. */
async function avoidedAgents(
  { store, paths, note }: Ground,
  offered: ReadonlySet<string>,
  now: number,
): Promise<OffersState['agents']> {
  if (offered.size === 0) return new Map();
  const known = new Set(await store.list(paths.agents));
  const ids = [...offered].filter((id) => known.has(encodeURIComponent(id)));
  const found = await Promise.all(
    ids.map(async (id) => {
      const unread: UnreadableRecordError[] = [];
      const noted = (error: UnreadableRecordError) => void unread.push(error);
      const [read] = await readReadable(store, [paths.agent(id)], agentRecord, noted);
      for (const error of unread) note(error);
      const [why] = unread.map(({ message }) => message);
      return [id, why === undefined ? read?.value : avoided(why, now)] as const;
    }),
  );
  return new Map(found.flatMap(([id, agent]) => (agent === undefined ? [] : [[id, agent]])));
}

function avoided(why: string, now: number): AgentRecord {
  return { v: 1, op: '', failures: 0, avoidUntil: now + avoidUnreadMs, why };
}

function byId(
  workers: readonly Versioned<WorkerRecord>[],
): ReadonlyMap<string, Versioned<WorkerRecord>> {
  return new Map(workers.map((read) => [read.value.id, read]));
}

/** About how many workers the offers have room for: no more of those that wait are read. */
function roomFor(events: readonly Heard[], workerCpus = 1): number {
  const offers = events.flatMap((event) => (event.kind === 'offers' ? event.offers : []));
  const cpus = offers
    .flatMap((offer) => offer.resources ?? [])
    .filter((resource) => resource.name === 'cpus')
    .reduce((sum, resource) => sum + (resource.scalar?.value ?? 0), 0);
  // One more for each offer: the present workers may be smaller than the configured ones.
  return Math.ceil(cpus / workerCpus) + offers.length;
}

/**
 * The list from a point drawn from the first agent's id, so that copies do not fight for the same
 * workers, and from the time, so that one that does not fit never hides those behind it.
 */
function turned(
  ids: readonly string[],
  agents: ReadonlySet<string>,
  turn: number,
): readonly string[] {
  const [first = ''] = agents;
  let hash = turn;
  for (const letter of first) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
  const start = ids.length === 0 ? 0 : hash % ids.length;
  return [...ids.slice(start), ...ids.slice(0, start)];
}
