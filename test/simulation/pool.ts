import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Violation } from './laws/laws.ts';
import type { Cell } from './table.ts';

/** Seeds to be run in a row, of the product or of a wrong variant. */
export interface Batch {
  readonly variant?: string;
  readonly from: number;
  readonly count: number;
  /** Ends with the first seed that breaks a law. */
  readonly untilBroken: boolean;
}

/** How one seed went, as far as it travels between threads. */
export interface Told {
  readonly seed: number;
  readonly digest: string;
  readonly broken: Violation | undefined;
  readonly events: number;
  readonly virtualMs: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly cells: ReadonlyMap<Cell, number>;
}

/** Runs batches on every core; the answers come in the order of the batches. */
export async function runBatches(batches: readonly Batch[]): Promise<readonly (readonly Told[])[]> {
  const answers: (readonly Told[])[] = [];
  const left = [...batches.entries()];
  const workers = Array.from({ length: Math.min(left.length, availableParallelism()) }, newWorker);
  try {
    await Promise.all(
      workers.map(async (worker) => {
        for (let next = left.shift(); next !== undefined; next = left.shift()) {
          answers[next[0]] = await askOne(worker, next[1]);
        }
      }),
    );
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return answers;
}

/** The seeds `from` to `from + count - 1`, a few at a time. */
export function batchesOf(from: number, count: number, variant?: string): readonly Batch[] {
  const size = 10;
  return Array.from({ length: Math.ceil(count / size) }, (_, index) => ({
    ...(variant === undefined ? {} : { variant }),
    from: from + index * size,
    count: Math.min(size, count - index * size),
    untilBroken: false,
  }));
}

function newWorker(): Worker {
  return new Worker(new URL('./pool-worker.ts', import.meta.url));
}

function askOne(worker: Worker, batch: Batch): Promise<readonly Told[]> {
  return new Promise((resolve, reject) => {
    worker.once('message', (told: readonly Told[]) => {
      worker.removeListener('error', reject);
      resolve(told);
    });
    worker.once('error', reject);
    worker.postMessage(batch);
  });
}
