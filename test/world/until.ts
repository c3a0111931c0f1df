/** How long to wait for a condition, and what to call it when it does not come. */
export interface Patience {
  readonly deadlineMs: number;
  /** What is waited for; the error says it. */
  readonly what: string;
  readonly everyMs?: number;
}

/**
 * Waits until the condition holds (gives something truthy) and resolves to it.
 * An error thrown by the condition counts as "not yet"; the last one is the cause of the failure.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  patience: Patience,
): Promise<NonNullable<Exclude<T, false>>> {
  const deadline = performance.now() + patience.deadlineMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value as NonNullable<Exclude<T, false>>;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`not within ${patience.deadlineMs} ms: ${patience.what}`, { cause: last });
    }
    await new Promise((resolve) => setTimeout(resolve, patience.everyMs ?? 20));
  }
}
