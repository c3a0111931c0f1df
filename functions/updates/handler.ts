import {
  fleetRecord,
  frameworkRecord,
  type RecordPaths,
  reconcileRecord,
  workerRecord,
} from '#proto/records.ts';
import { specRecord } from '#proto/spec.ts';
import type { FunctionDefinition } from '#runtime/function.ts';
import { readExisting, readRecord } from '#runtime/store/records.ts';
import type { Store } from '#runtime/store/store.ts';
import type { FunctionContext } from '../shared/context.ts';
import { type Effect, showEffect } from '../shared/effect.ts';
import type { Heard } from '../shared/heard.ts';
import { hearsFailure, hearsInverseOffers, hearsRemarks, hearsUpdates } from '../shared/hears.ts';
import { labelOf } from '../shared/label.ts';
import { performer } from '../shared/perform.ts';
import { decide, type UpdatesState } from './decide.ts';

/** The hint of KILLs sent is kept for so many tasks. */
const killsRemembered = 10_000;

/** The next state of a worker from what Mesos says; ACKNOWLEDGE after it is stored. */
export function updatesFunction(
  context: FunctionContext,
): FunctionDefinition<UpdatesState, Heard, Effect> {
  const { subjects, paths, clock } = context;
  const perform = performer(context);
  const killedAt = new Map<string, number>();
  return {
    name: 'updates',
    description: 'stores what Mesos says of tasks, then acknowledges it',
    hears: [
      hearsUpdates(subjects),
      hearsFailure(subjects),
      hearsInverseOffers(subjects),
      ...hearsRemarks(subjects),
    ],
    label: labelOf,
    show: showEffect,
    load: async (store, events) => ({ ...(await loadState(store, paths, events)), killedAt }),
    decide,
    perform: async (effect, headers) => {
      if (effect.kind === 'kill') {
        if (killedAt.size > killsRemembered) killedAt.clear();
        for (const { taskId } of effect.tasks) killedAt.set(taskId, clock.now());
      }
      return perform(effect, headers);
    },
    barrier: paths.framework,
  };
}

async function loadState(
  store: Store,
  paths: RecordPaths,
  events: readonly Heard[],
): Promise<Omit<UpdatesState, 'killedAt'>> {
  const ids = new Set(
    events.flatMap((event) => {
      if (event.kind === 'update') return [event.status.task_id.value];
      return event.kind === 'acknowledged' ? [event.worker] : [];
    }),
  );
  const named = [...ids].filter((id) => !id.includes('/') && id !== '.' && id !== '..');
  const [framework, spec, reconcile, fleet, workers] = await Promise.all([
    readRecord(store, paths.framework, frameworkRecord),
    readRecord(store, paths.spec, specRecord),
    readRecord(store, paths.reconcile, reconcileRecord),
    readRecord(store, paths.fleet, fleetRecord),
    readExisting(store, named.map(paths.worker), workerRecord),
  ]);
  return {
    paths,
    framework,
    spec,
    reconcile,
    counter: fleet?.value.counter ?? 0,
    workers: new Map(workers.map((read) => [read.value.id, read])),
  };
}
