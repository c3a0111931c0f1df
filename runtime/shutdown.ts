/** Longer than any part of an orderly stop takes; whoever supervises us kills later than this. */
export const patienceMs = 25_000;

/**
 * Runs `stop` on the first SIGTERM or SIGINT and exits 0 after it. Exits 1 where it fails (told
 * through `failed`), is not done after `deadlineMs`, or a second signal comes.
 */
export function onTermination(
  stop: (signal: NodeJS.Signals) => Promise<void>,
  failed: (error: unknown) => void,
  deadlineMs = patienceMs,
): void {
  let stopping = false;
  const fail = (error: unknown): void => {
    failed(error);
    process.exit(1);
  };
  const heard = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(1);
    stopping = true;
    setTimeout(() => fail(new Error(`not stopped within ${deadlineMs} ms`)), deadlineMs).unref();
    stop(signal).then(() => process.exit(0), fail);
  };
  process.on('SIGTERM', heard);
  process.on('SIGINT', heard);
}
