import type { RecordPaths } from '#proto/records.ts';
import type { Subjects } from '#proto/subjects.ts';
import type { Bus } from '#runtime/bus/bus.ts';
import type { Clock } from '#runtime/clock.ts';
import type { Log } from '#runtime/log.ts';
import type { Store } from '#runtime/store/store.ts';

/** What every function of one cluster is made with. */
export interface FunctionContext {
  readonly subjects: Subjects;
  readonly paths: RecordPaths;
  readonly store: Store;
  readonly bus: Bus;
  readonly clock: Clock;
  /** Where answers to commands are said, besides the decision log. */
  readonly log?: Log;
}
