import { type AnyFunction, everyFunction } from '#functions/all.ts';
import { ensureStreams } from '#functions/shared/streams.ts';
import { silentMetrics } from '#gateway/core/surroundings.ts';
import { startGateway } from '#gateway/core.ts';
import type { Mesos } from '#gateway/mesos/mesos.ts';
import { type RecordPaths, recordFolders, steadyRecords } from '#proto/records.ts';
import type { ClusterSettings } from '#proto/spec.ts';
import type { Subjects } from '#proto/subjects.ts';
import type { Bus } from '#runtime/bus/bus.ts';
import { DreyError } from '#runtime/errors.ts';
import { silentLog } from '#runtime/log.ts';
import { runFunction } from '#runtime/run/runner.ts';
import { rememberReads } from '#runtime/store/remembered.ts';
import type { Store } from '#runtime/store/store.ts';
import type { Table } from './table.ts';
import { newer } from './versions.ts';
import type { Running } from './world/slot.ts';

/** A planted fault: the seams of the product, wrapped. */
export interface Tampering {
  readonly define?: (definition: AnyFunction) => AnyFunction;
  readonly store?: (store: Store, functionName: string) => Store;
  readonly bus?: (bus: Bus, functionName: string) => Bus;
  readonly mesos?: (mesos: Mesos) => Mesos;
}

/** Where processes run. */
export interface Place {
  readonly subjects: Subjects;
  readonly paths: RecordPaths;
  readonly tampering: Tampering;
  readonly table: Table;
  /** This copy is of a newer version. */
  readonly newer: boolean;
}

export interface FunctionGroup {
  readonly name: string;
  readonly functions: readonly string[];
}

/** Every function in a process of its own, or all of them together in one. */
export function functionGroups(together: boolean): readonly FunctionGroup[] {
  const names = Object.keys(everyFunction).filter((name) => name !== 'explain');
  return together
    ? [{ name: 'functions', functions: names }]
    : names.map((name) => ({ name, functions: [name] }));
}

/** As `functions/main.ts` does: what fails at the start ends the process. */
export async function beginFunctions(
  running: Running,
  names: readonly string[],
  place: Place,
): Promise<void> {
  const { life, bus } = running;
  const { subjects, paths } = place;
  try {
    for (const folder of recordFolders(paths)) await running.store.ensure(folder);
    await ensureStreams(bus, subjects);
    const store = rememberReads(running.store, life.clock, steadyRecords(paths));
    await Promise.all(names.map((name) => beginFunction({ ...running, store }, name, place)));
  } catch (error) {
    if (!(error instanceof DreyError)) throw error;
    life.crash(`cannot start: ${error.message}`);
  }
}

async function beginFunction(
  running: Omit<Running, 'store'> & { readonly store: Store },
  name: string,
  place: Place,
): Promise<void> {
  const { life } = running;
  const { subjects, paths, tampering, table } = place;
  const own = place.newer ? newer(running.store) : running.store;
  const store = tampering.store?.(own, name) ?? own;
  const bus = tampering.bus?.(running.bus, name) ?? running.bus;
  const made = everyFunction[name]?.({ subjects, paths, store, bus, clock: life.clock });
  if (made === undefined) throw new RangeError(`${name} is no function`);
  const definition = tampering.define?.(made) ?? made;
  await runFunction(table.watch(definition), {
    store,
    bus,
    clock: life.clock,
    random: () => life.random.next(),
    copy: life.name,
    log: silentLog,
    decisionSubject: subjects.decision(name),
    setAsideSubject: subjects.setAside(name),
  });
}

/** A gateway; it ends with its cluster. */
export function beginGateway(running: Running, settings: ClusterSettings, place: Place): void {
  const { life, store } = running;
  const { subjects, paths, tampering } = place;
  const gateway = startGateway({
    store: tampering.store?.(store, 'gateway') ?? store,
    bus: tampering.bus?.(running.bus, 'gateway') ?? running.bus,
    clock: life.clock,
    random: () => life.random.next(),
    mesos: tampering.mesos?.(running.mesos) ?? running.mesos,
    subjects,
    paths,
    id: life.name,
    settings,
    log: silentLog,
    metrics: silentMetrics,
  });
  void gateway.finished.then((end) => life.crash(`it has ${end.kind}`));
}
