import { driverRecord, frameworkRecord, type RecordPaths } from '#proto/records.ts';
import type { FunctionDefinition } from '#runtime/function.ts';
import { readRecord } from '#runtime/store/records.ts';
import type { Store } from '#runtime/store/store.ts';
import type { FunctionContext } from '../shared/context.ts';
import { type Effect, showEffect } from '../shared/effect.ts';
import type { Heard } from '../shared/heard.ts';
import { hearsChanged, hearsDemand, hearsTick } from '../shared/hears.ts';
import { labelOf } from '../shared/label.ts';
import { performer } from '../shared/perform.ts';
import { decide, type JobsState } from './decide.ts';

/** Nodes that one transaction removes. */
const removedAtOnce = 300;

/** The end of a cluster. */
export function jobsFunction(
  context: FunctionContext,
): FunctionDefinition<JobsState, Heard, Effect> {
  const { subjects, paths } = context;
  return {
    name: 'jobs',
    description: "ends the cluster when Flink's has ended",
    hears: [
      hearsDemand(subjects, 'deregister'),
      hearsChanged(subjects, 'framework'),
      hearsTick(subjects),
    ],
    label: labelOf,
    show: showEffect,
    load: (store) => loadState(store, paths),
    decide,
    perform: performer(context),
    barrier: paths.framework,
  };
}

async function loadState(store: Store, paths: RecordPaths): Promise<JobsState> {
  const [framework, driver] = await Promise.all([
    readRecord(store, paths.framework, frameworkRecord),
    readRecord(store, paths.driver, driverRecord),
  ]);
  const over = framework?.value.state === 'removed';
  return { framework, driver, remains: over ? await remains(store, paths) : [] };
}

/** What is left to remove, the indexes first. */
async function remains(store: Store, paths: RecordPaths): Promise<JobsState['remains']> {
  const folders = [
    paths.waiting,
    paths.due,
    paths.leaving,
    paths.workers,
    paths.requests,
    paths.agents,
    paths.commands,
  ];
  const names = await Promise.all(folders.map((folder) => store.list(folder)));
  const children = folders.flatMap((folder, index) =>
    (names[index] ?? []).map((name) => `${folder}/${name}`),
  );
  const single = [paths.driver, paths.launches, paths.reconcile, paths.spec];
  const nodes = await Promise.all(
    [...children, ...single].slice(0, removedAtOnce).map((path) => store.read(path)),
  );
  return nodes.filter((node) => node !== undefined);
}
