/** A timer that can be stopped. */
export interface Timer {
  cancel(): void;
}

/** Time as a value that is handed in, so that a simulation can own it. */
export interface Clock {
  /** ms since 1970, for what is recorded and shown: somebody may set it back or forward at any time. */
  now(): number;
  /** ms since some moment of this process, never set: for leases, deadlines, watchdogs and ages in memory. */
  elapsed(): number;
  /** Runs `action` once after `delayMs`. */
  after(delayMs: number, action: () => void): Timer;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after: (delayMs, action) => {
    const timer = setTimeout(action, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Resolves after `delayMs` of the given clock. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}
