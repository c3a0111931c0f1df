import type { WorkerRecord } from '#proto/records.ts';
import { targetOf } from '#proto/spec.ts';
import { counts, newWorker } from '../../shared/worker.ts';
import { type Draft, type FleetView, letGo, workerIn } from './draft.ts';

/** Workers made or let go by one transaction. */
export const workersAtOnce = 100;

/** Brings the number of workers to its target; the newest go first, and those that never ran before all. */
export function converge(draft: Draft, view: FleetView): void {
  const target = targetOf(draft.spec);
  const missing = target - view.living.length;
  if (missing > 0) make(draft, Math.min(missing, workersAtOnce), target);
  if (missing < 0) shrink(draft, leavers(view, Math.min(-missing, workersAtOnce)), target);
  if (Math.abs(missing) > workersAtOnce) {
    const { spec } = draft;
    draft.effects.push({
      kind: 'again',
      event: { kind: 'changed', record: 'spec', id: 'spec', state: String(spec.generation) },
    });
  }
}

/** Which workers go first when there are too many. */
export function leavers(view: FleetView, count: number): string[] {
  const waiting = new Set(view.waiting);
  const newestFirst = [...view.living].reverse();
  return [
    ...newestFirst.filter((id) => waiting.has(id)),
    ...newestFirst.filter((id) => !waiting.has(id)),
  ].slice(0, count);
}

function make(draft: Draft, count: number, target: number): void {
  const { spec, framework, moment } = draft;
  const { size, flink } = spec.configured.worker;
  for (let made = 0; made < count; made += 1) {
    draft.counter += 1;
    const worker: WorkerRecord = newWorker(
      {
        number: draft.counter,
        size,
        ...(flink === undefined ? {} : { flink }),
        generation: spec.generation,
        epoch: framework.epoch,
        why: `wanted: the target is ${target} workers`,
      },
      moment,
    );
    draft.made.set(worker.id, worker);
    draft.reasons.push({ about: worker.id, why: worker.why });
  }
}

function shrink(draft: Draft, ids: readonly string[], target: number): void {
  for (const id of ids) {
    const worker = workerIn(draft, id);
    if (worker === undefined || !counts(worker.state)) continue;
    letGo(draft, worker, `let go: the target is ${target} workers`);
  }
}
