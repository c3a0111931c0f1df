import {
  type FrameworkRecord,
  frameworkRecord,
  type RecordPaths,
  type WorkerRecord,
  workerRecord,
} from '#proto/records.ts';
import type { Commit } from './zookeeper-log.ts';

/** A record as a transaction left it; undefined: removed. */
export interface Version<T> {
  readonly at: number;
  readonly zxid: bigint;
  readonly value: T | undefined;
}

/** What every record ever was, in the order of transactions. */
export class Past {
  readonly workers: ReadonlyMap<string, readonly Version<WorkerRecord>[]>;
  readonly framework: readonly Version<FrameworkRecord>[];

  constructor(commits: readonly Commit[], paths: RecordPaths) {
    const workers = new Map<string, Version<WorkerRecord>[]>();
    const framework: Version<FrameworkRecord>[] = [];
    const prefix = `${paths.workers}/`;
    for (const { zxid, at, changes } of commits) {
      for (const { kind, path, data } of changes) {
        const gone = kind === 'delete' || data === '';
        if (path === paths.framework) {
          const value = gone ? undefined : frameworkRecord.parse(JSON.parse(data));
          framework.push({ zxid, at, value });
        } else if (path.startsWith(prefix)) {
          const id = path.slice(prefix.length);
          const versions = workers.get(id) ?? [];
          workers.set(id, versions);
          const value = gone ? undefined : workerRecord.parse(JSON.parse(data));
          versions.push({ zxid, at, value });
        }
      }
    }
    this.workers = workers;
    this.framework = framework;
  }

  /** The versions of a worker that were taken in at that time or before. */
  upTo(id: string, at: number): readonly Version<WorkerRecord>[] {
    return (this.workers.get(id) ?? []).filter((version) => version.at <= at);
  }

  /** The worker's records in their present form. */
  get present(): readonly WorkerRecord[] {
    return [...this.workers.values()].flatMap((versions) => versions.at(-1)?.value ?? []);
  }
}
