import type { Bus } from '../bus/bus.ts';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { Store } from '../store/store.ts';

/** What a function is run with; only interfaces, so that a simulation can own all of it. */
export interface RunOptions {
  readonly store: Store;
  readonly bus: Bus;
  readonly clock: Clock;
  /** In [0, 1). */
  random(): number;
  /** Names this copy among all copies of the function. */
  readonly copy: string;
  readonly log: Log;
  /** Where the decision log goes. */
  readonly decisionSubject: string;
  /** Where it is told what was set aside. */
  readonly setAsideSubject: string;
  readonly metrics?: RunMetrics;
}

/** What the runner counts. */
export interface RunMetrics {
  handled(events: number, tookMs: number): void;
  /** A transaction that another copy was quicker than. */
  lost(): void;
  /** An event that cannot be read, or breaks every decision. */
  setAside(): void;
  /** A decision or an effect that failed. */
  failed(): void;
  /** A record that is there and cannot be read. */
  unreadable(): void;
}
