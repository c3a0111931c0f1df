/** Runs `stop` on the first SIGTERM or SIGINT and exits 0 after it; a second signal exits at once. */
export function onTermination(
  stop: (signal: NodeJS.Signals) => Promise<void>,
  failed: (error: unknown) => void,
): void {
  let stopping = false;
  const heard = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(1);
    stopping = true;
    stop(signal).then(
      () => process.exit(0),
      (error) => {
        failed(error);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', heard);
  process.on('SIGINT', heard);
}
