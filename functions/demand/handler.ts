import {
  driverRecord,
  fleetRecord,
  frameworkRecord,
  type RecordPaths,
  requestRecord,
  workerRecord,
} from '#proto/records.ts';
import { type SpecRecord, specRecord, targetOf } from '#proto/spec.ts';
import type { FunctionDefinition } from '#runtime/function.ts';
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
import { hearsChanged, hearsDemand, hearsTick } from '../shared/hears.ts';
import { labelOf } from '../shared/label.ts';
import { performer } from '../shared/perform.ts';
import { inTurn } from '../shared/turn.ts';
import { decide } from './decide.ts';
import type { DemandState, FleetView } from './rules/draft.ts';
import { leavers, workersAtOnce } from './rules/fixed.ts';

/** Ends told again by one tick. */
const toldAtOnce = 200;

/** Which workers are wanted and which may go. */
export function demandFunction(
  context: FunctionContext,
): FunctionDefinition<DemandState, Heard, Effect> {
  const { subjects, paths, clock } = context;
  return {
    name: 'demand',
    description: 'makes and releases workers as Flink or a target asks',
    hears: [
      hearsDemand(subjects, 'recover'),
      hearsDemand(subjects, 'request'),
      hearsDemand(subjects, 'release'),
      hearsDemand(subjects, 'confirm'),
      hearsChanged(subjects, 'worker'),
      hearsChanged(subjects, 'spec'),
      hearsTick(subjects),
    ],
    label: labelOf,
    show: showEffect,
    load: (store, events, note) => loadState(store, paths, events, clock.now(), note),
    decide,
    perform: performer(context),
    barrier: paths.framework,
  };
}

async function loadState(
  store: Store,
  paths: RecordPaths,
  events: readonly Heard[],
  now: number,
  note: NoteUnreadable,
): Promise<DemandState> {
  // The counter first: lists that are read after it hold every worker that it has counted.
  const [fleet, framework, spec, driver] = await Promise.all([
    readRecord(store, paths.fleet, fleetRecord),
    readRecord(store, paths.framework, frameworkRecord),
    readRecord(store, paths.spec, specRecord),
    readRecord(store, paths.driver, driverRecord),
  ]);
  const ticked = events.some((event) => event.kind === 'tick');
  const leaving = ticked ? inTurn(await store.list(paths.leaving), toldAtOnce, now) : [];
  const driven = ticked && spec?.value.configured.demand.mode === 'driver';
  const waiting = driven ? (await store.list(paths.waiting)).slice(0, workersAtOnce) : [];
  const view = await viewOf(store, paths, spec?.value, events);
  const requests = await requestsOf(store, paths, events);
  // What Flink asks about is answered whole or, while a record cannot be read, not at all.
  const asked = new Set([
    ...named(events),
    ...[...requests.values()].map((request) => request.worker).filter((id) => id !== ''),
    ...(recovers(events) ? await store.list(paths.workers) : []),
  ]);
  const listed = [...changed(events), ...leaving, ...waiting, ...surplus(view, spec?.value)];
  const found = new Set(listed.filter((id) => !asked.has(id)));
  const workers = [
    ...(await readExisting(store, [...asked].map(paths.worker), workerRecord)),
    ...(await readReadable(store, [...found].map(paths.worker), workerRecord, note)),
  ];
  return {
    paths,
    framework,
    spec,
    driver,
    fleet,
    requests,
    workers: new Map(workers.map((read) => [read.value.id, read])),
    view,
    leaving,
  };
}

async function viewOf(
  store: Store,
  paths: RecordPaths,
  spec: SpecRecord | undefined,
  events: readonly Heard[],
): Promise<FleetView | undefined> {
  if (spec?.configured.demand.mode !== 'fixed') return undefined;
  if (!events.some(movesFleet)) return undefined;
  const [leaving, waiting] = await Promise.all([
    store.list(paths.leaving),
    store.list(paths.waiting),
  ]);
  const gone = new Set(leaving);
  const living = (await store.list(paths.workers)).filter((id) => !gone.has(id));
  return { living, waiting };
}

/** After which events the number of workers may be off its target. */
function movesFleet(event: Heard): boolean {
  if (event.kind === 'tick') return true;
  if (event.kind !== 'changed') return false;
  return event.record === 'spec' || event.state === 'stopping' || event.state === 'ended';
}

/** Those that will have to go, so that their records are there to be changed. */
function surplus(view: FleetView | undefined, spec: SpecRecord | undefined): string[] {
  if (view === undefined || spec === undefined) return [];
  const count = view.living.length - targetOf(spec);
  return count <= 0 ? [] : leavers(view, Math.min(count, workersAtOnce));
}

async function requestsOf(
  store: Store,
  paths: RecordPaths,
  events: readonly Heard[],
): Promise<DemandState['requests']> {
  const ids = new Set(
    events.flatMap((event) => {
      if (event.kind !== 'demand') return [];
      const numbered = event.verb === 'request' || event.verb === 'release';
      return numbered && event.n !== undefined ? [`${event.session}-${event.n}`] : [];
    }),
  );
  const found = await Promise.all(
    [...ids].map(
      async (id) => [id, await readRecord(store, paths.request(id), requestRecord)] as const,
    ),
  );
  return new Map(found.flatMap(([id, read]) => (read === undefined ? [] : [[id, read.value]])));
}

function changed(events: readonly Heard[]): string[] {
  return events.flatMap((event) =>
    event.kind === 'changed' && event.record === 'worker' ? [event.id] : [],
  );
}

function named(events: readonly Heard[]): string[] {
  return events.flatMap((event) => {
    if (event.kind !== 'demand') return [];
    if (event.verb === 'confirm') return event.workers;
    return event.verb === 'release' && event.worker !== undefined ? [event.worker] : [];
  });
}

function recovers(events: readonly Heard[]): boolean {
  return events.some((event) => event.kind === 'demand' && event.verb === 'recover');
}
