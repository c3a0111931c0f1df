import { setTimeout as pause } from 'node:timers/promises';

/** Waits until `condition` holds (gives something truthy) and resolves to it. @throws when `deadlineMs` has passed. */
export async function until<Result>(
  condition: () => Result | Promise<Result>,
  options: { readonly deadlineMs: number; readonly what: string },
): Promise<Result> {
  const end = performance.now() + options.deadlineMs;
  let last: unknown;
  for (;;) {
    try {
      const result = await condition();
      if (result) return result;
      last = result;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= end) {
      throw new Error(`not within ${options.deadlineMs} ms: ${options.what}`, { cause: last });
    }
    await pause(20);
  }
}
