import type { RecordPaths, WorkerRecord, WorkerState } from '#proto/records.ts';
import { fleetRecord, workerRecord } from '#proto/records.ts';
import type { Change, Commit } from '../evidence/zookeeper-log.ts';
import type { Found, Law } from './law.ts';

/** What may follow in a worker's life; an ended one is only forgotten. */
const next: Readonly<Record<WorkerState, readonly WorkerState[]>> = {
  wanted: ['launching', 'stopping', 'ended'],
  launching: ['wanted', 'starting', 'running', 'unreachable', 'stopping', 'ended'],
  starting: ['running', 'unreachable', 'stopping', 'ended'],
  running: ['unreachable', 'stopping', 'ended'],
  unreachable: ['starting', 'running', 'stopping', 'ended'],
  stopping: ['ended'],
  ended: [],
};

export const onlyForward: Law = {
  name: 'a worker goes only forward, and its id is given once',
  check: (evidence, found) => {
    for (const [id, versions] of evidence.past.workers) {
      found.looked();
      let before: WorkerState | undefined;
      let forgotten = false;
      for (const { value, at } of versions) {
        if (forgotten) found.broken(`${id} is made anew at ${at}`);
        if (value === undefined) {
          forgotten = true;
          if (before !== 'ended') found.broken(`${id} is forgotten in ${before} at ${at}`);
          continue;
        }
        if (before === undefined && value.state !== 'wanted') {
          found.broken(`${id} begins in ${value.state} at ${at}`);
        }
        if (before !== undefined && before !== value.state && !next[before].includes(value.state)) {
          found.broken(`${id} goes from ${before} to ${value.state} at ${at}`);
        }
        before = value.state;
      }
    }
  },
};

export const countedOn: Law = {
  name: 'the counter of ids never falls, and no id is above it',
  check: ({ commits, paths }, found) => {
    let counter = 0;
    for (const { at, changes } of commits) {
      const fleet = changes.find(({ path }) => path === paths.fleet);
      if (fleet !== undefined) {
        found.looked();
        const given = fleet.data === '' ? 0 : fleetRecord.parse(JSON.parse(fleet.data)).counter;
        if (given < counter) found.broken(`the counter falls from ${counter} to ${given} at ${at}`);
        counter = given;
      }
      for (const { kind, path } of changes) {
        const number = /\/workers\/\D*(\d+)$/.exec(path)?.[1];
        if (kind !== 'create' || number === undefined) continue;
        if (Number(number) > counter) found.broken(`${path} is made at ${at}, beyond ${counter}`);
      }
    }
  },
};

export const inStep: Law = {
  name: 'every index is in step with its record after each transaction',
  check: ({ commits, paths }, found) => {
    const workers = new Map<string, WorkerRecord>();
    const indexes = new Map<string, Set<string>>();
    for (const commit of commits) {
      const touched = new Set<string>();
      for (const change of commit.changes) note(change, paths, workers, indexes, touched);
      for (const id of touched) compare(id, commit, { paths, workers, indexes }, found);
    }
  },
};

interface Tree {
  readonly paths: RecordPaths;
  readonly workers: ReadonlyMap<string, WorkerRecord>;
  /** Worker id to the paths of its entries. */
  readonly indexes: ReadonlyMap<string, ReadonlySet<string>>;
}

function note(
  { kind, path, data }: Change,
  paths: RecordPaths,
  workers: Map<string, WorkerRecord>,
  indexes: Map<string, Set<string>>,
  touched: Set<string>,
): void {
  const cut = path.lastIndexOf('/');
  const folder = path.slice(0, cut);
  const name = path.slice(cut + 1);
  if (folder === paths.workers) {
    touched.add(name);
    if (kind === 'delete') workers.delete(name);
    else workers.set(name, workerRecord.parse(JSON.parse(data)));
  } else if ([paths.waiting, paths.leaving, paths.due].includes(folder)) {
    const id = name.replace(/^\d{13}-/, '');
    touched.add(id);
    const own = indexes.get(id) ?? new Set();
    indexes.set(id, own);
    if (kind === 'delete') own.delete(path);
    else own.add(path);
  }
}

function compare(
  id: string,
  { at }: Commit,
  { paths, workers, indexes }: Tree,
  found: Found,
): void {
  const worker = workers.get(id);
  const leaves = worker?.state === 'stopping' || worker?.state === 'ended';
  const wanted = [
    ...(worker?.state === 'wanted' ? [paths.waits(id)] : []),
    ...(leaves ? [paths.leaves(id)] : []),
    ...(worker?.due === undefined ? [] : [paths.dueAt(worker.due, id)]),
  ];
  found.looked();
  const present = indexes.get(id) ?? new Set();
  const missing = wanted.find((path) => !present.has(path));
  if (missing !== undefined) found.broken(`${missing} is missing at ${at}`);
  const stale = [...present].find((path) => !wanted.includes(path));
  if (stale !== undefined) found.broken(`${stale} is left at ${at}`);
}
