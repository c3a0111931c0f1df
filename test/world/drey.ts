import { encodeJson } from '#proto/messages.ts';
import {
  type FrameworkRecord,
  frameworkRecord,
  type RecordPaths,
  recordPathsOf,
  type WorkerRecord,
  workerRecord,
} from '#proto/records.ts';
import { type Subjects, subjectsOf } from '#proto/subjects.ts';
import type { Bus } from '#runtime/bus/bus.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import { readExisting, readRecord } from '#runtime/store/records.ts';
import type { Store } from '#runtime/store/store.ts';
import { connectStore } from '#runtime/store/zookeeper.ts';

/** One cluster of drey as its records and its answers show it. */
export interface Drey {
  readonly cluster: string;
  readonly store: Store;
  readonly bus: Bus;
  readonly paths: RecordPaths;
  readonly subjects: Subjects;
  /** @throws where no gateway has led yet. */
  framework(): Promise<FrameworkRecord>;
  /** Every worker's record, by id. */
  workers(): Promise<readonly WorkerRecord[]>;
  /** `ask.<question>`, parsed. */
  ask(question: string, body?: unknown): Promise<Record<string, unknown>>;
  /** `do.<command>`, parsed. */
  do(command: string, body: unknown): Promise<{ readonly ok: boolean; readonly message: string }>;
  close(): Promise<void>;
}

/** Connects to the servers of a cluster as an onlooker; several of a kind by commas. */
export async function watchDrey(
  cluster: string,
  zookeeper: string,
  nats: string,
  root = '/drey',
): Promise<Drey> {
  const store = await connectStore({
    servers: zookeeper,
    sessionTimeoutMs: 10_000,
    clock: systemClock,
  });
  const bus = await connectBus({ servers: nats.split(','), name: 'onlooker', clock: systemClock });
  const paths = recordPathsOf(root, cluster);
  const subjects = subjectsOf(cluster);
  const request = async (subject: string, body: unknown): Promise<Record<string, unknown>> => {
    const answer = await bus.request(subject, encodeJson(body), { timeoutMs: 5000 });
    return JSON.parse(new TextDecoder().decode(answer.data)) as Record<string, unknown>;
  };
  return {
    cluster,
    store,
    bus,
    paths,
    subjects,
    framework: async () => {
      const read = await readRecord(store, paths.framework, frameworkRecord);
      if (read === undefined) throw new Error(`no gateway has led ${cluster} yet`);
      return read.value;
    },
    workers: async () => {
      const ids = await store.list(paths.workers);
      const read = await readExisting(store, ids.map(paths.worker), workerRecord);
      return read.map(({ value }) => value);
    },
    ask: (question, body = {}) => request(subjects.ask(question), body),
    do: async (command, body) => {
      const answer = await request(subjects.do(command), body);
      return { ok: answer.ok === true, message: String(answer.message) };
    },
    close: async () => {
      await bus.close();
      await store.close();
    },
  };
}

/** Every worker in a line, for a test that has failed. */
export async function describeWorkers(drey: Drey): Promise<string> {
  const workers = await drey.workers();
  const lines = workers.map(({ id, state, agentId, times, why }) => {
    const moments = Object.entries(times).map(([name, at]) => `${name} ${clockTime(at)}`);
    return `${id} ${state} on ${agentId ?? 'no agent'} (${moments.join(', ')}): ${why}`;
  });
  return [`---- ${workers.length} workers of ${drey.cluster}`, ...lines.slice(-40)].join('\n');
}

function clockTime(at: number | undefined): string {
  return at === undefined ? '-' : new Date(at).toISOString().slice(11, 23);
}
