import {
  frameworkRecord,
  type RecordPaths,
  reconcileRecord,
  workerRecord,
} from '#proto/records.ts';
import { specRecord } from '#proto/spec.ts';
import type { FunctionDefinition } from '#runtime/function.ts';
import { type NoteUnreadable, readReadable, readRecord } from '#runtime/store/records.ts';
import type { Store } from '#runtime/store/store.ts';
import type { FunctionContext } from '../shared/context.ts';
import { type Effect, showEffect } from '../shared/effect.ts';
import type { Heard } from '../shared/heard.ts';
import { hearsSubscribed, hearsTick } from '../shared/hears.ts';
import { labelOf } from '../shared/label.ts';
import { performer } from '../shared/perform.ts';
import { decide, needsFleet, type ReconcileState } from './decide.ts';

/** Explicit and implicit reconciliation. */
export function reconcileFunction(
  context: FunctionContext,
): FunctionDefinition<ReconcileState, Heard, Effect> {
  const { subjects, paths, clock } = context;
  return {
    name: 'reconcile',
    description: 'asks Mesos about the workers it has not spoken of',
    hears: [hearsSubscribed(subjects), hearsTick(subjects)],
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
): Promise<ReconcileState> {
  const [framework, spec, reconcile] = await Promise.all([
    readRecord(store, paths.framework, frameworkRecord),
    readRecord(store, paths.spec, specRecord),
    readRecord(store, paths.reconcile, reconcileRecord),
  ]);
  const needed = needsFleet(reconcile?.value, events, now);
  const workers = needed ? await fleet(store, paths, note) : undefined;
  return { paths, framework, spec, reconcile, workers };
}

async function fleet(
  store: Store,
  paths: RecordPaths,
  note: NoteUnreadable,
): Promise<ReconcileState['workers']> {
  const ids = await store.list(paths.workers);
  return readReadable(store, ids.map(paths.worker), workerRecord, note);
}
