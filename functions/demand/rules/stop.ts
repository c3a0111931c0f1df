import type { WorkerRecord } from '#proto/records.ts';
import { forgetAfterMs, patched } from '../../shared/worker.ts';
import { type Draft, keep } from './draft.ts';

/**
 * Lets a worker go. One that was never launched ends at once; any other is killed, and the KILL is
 * repeated until it has ended. Whoever lets it go knows its end already: nobody waits to be told.
 */
export function stopped(draft: Draft, worker: WorkerRecord, why: string): void {
  const { moment, spec } = draft;
  if (worker.state === 'wanted') {
    const due = moment.now + forgetAfterMs;
    keep(draft, patched(worker, { state: 'ended', confirmed: true, due, why }, moment));
  } else {
    const due = moment.now + spec.configured.failures.killRepeatMs;
    const next = patched(
      worker,
      { state: 'stopping', confirmed: true, kills: 1, due, why },
      moment,
    );
    keep(draft, next);
    if (draft.framework.held === undefined) draft.kills.push(next);
  }
  draft.reasons.push({ about: worker.id, why });
}
