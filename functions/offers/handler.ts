import {
  agentRecord,
  frameworkRecord,
  launchesRecord,
  type RecordPaths,
  type WorkerRecord,
  workerRecord,
} from '#proto/records.ts';
import { specRecord } from '#proto/spec.ts';
import type { FunctionDefinition } from '#runtime/function.ts';
import type { Versioned } from '#runtime/store/ops.ts';
import { readExisting, readRecord } from '#runtime/store/records.ts';
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
    load: async (store, events) => ({
      ...(await loadState(store, paths, events, clock.now())),
      // As if read from the clock that the decision reads, however that was set since.
      revivedAt: clock.now() - (clock.elapsed() - revivedAt),
    }),
    decide,
    perform: async (effect) => {
      if (effect.kind === 'revive') revivedAt = clock.elapsed();
      return perform(effect);
    },
    barrier: paths.framework,
  };
}

async function loadState(
  store: Store,
  paths: RecordPaths,
  events: readonly Heard[],
  now: number,
): Promise<Omit<OffersState, 'revivedAt'>> {
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
    avoidedAgents(store, paths, offered),
    readExisting(store, refusedIds.map(paths.worker), workerRecord),
  ]);
  const room = Math.min(workersAtOnce, roomFor(events, spec?.value.configured.worker.size.cpus));
  const chosen = turned(waitingIds, offered, Math.floor(now / turnMs)).slice(0, room);
  const waiting = await readExisting(store, chosen.map(paths.worker), workerRecord);
  const newest = events.some((event) => event.kind === 'tick') ? waitingIds.at(-1) : undefined;
  const newestWorker =
    newest === undefined ? undefined : await readRecord(store, paths.worker(newest), workerRecord);
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

async function avoidedAgents(
  store: Store,
  paths: RecordPaths,
  offered: ReadonlySet<string>,
): Promise<OffersState['agents']> {
  if (offered.size === 0) return new Map();
  const known = new Set(await store.list(paths.agents));
  const ids = [...offered].filter((id) => known.has(encodeURIComponent(id)));
  const found = await Promise.all(
    ids.map(async (id) => [id, await readRecord(store, paths.agent(id), agentRecord)] as const),
  );
  return new Map(found.flatMap(([id, read]) => (read === undefined ? [] : [[id, read.value]])));
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
