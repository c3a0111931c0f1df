import type { Result } from './run.ts';

/** A run in lines for people. */
export function report(title: string, result: Result): readonly string[] {
  const { seconds, struck, held, figures, verdicts } = result;
  const list = (entries: Iterable<readonly [string, number]>): string =>
    [...entries].map(([name, count]) => `${name} ${count}`).join(', ');
  const faults = [...struck.values()].reduce((sum, count) => sum + count, 0);
  return [
    `${title}: ${seconds.toFixed(0)} s under faults, at rest ${result.restSeconds.toFixed(1)} s after the last`,
    `load: ${held.wishes} times another number asked for, ${held.lowest} to ${held.highest} tasks running, ` +
      `on average ${held.meanRunning} of ${held.meanAsked} asked`,
    `faults: ${faults}; ${list([...struck].sort(([a], [b]) => a.localeCompare(b)))}`,
    `seen: ${list(Object.entries(figures))}; ${result.starts} starts of drey's processes`,
    ...result.ownEnds.map(
      ({ name, how, wasReady }) =>
        `ended by itself: ${name} with ${how}, ${wasReady ? 'when it was up' : 'while it started'}`,
    ),
    ...verdicts.map(
      ({ law, looked, broken }) => `law: ${law}: ${looked} looked at, ${broken.length} broken`,
    ),
    `${verdicts.length} laws, ${violations(result).length} violations`,
  ];
}

/** Every broken law; one that has seen nothing proves nothing, and a process that is up ends only when told. */
export function violations({ verdicts, ownEnds }: Result): readonly string[] {
  return [
    ...verdicts.flatMap(({ law, broken }) => broken.map((what) => `${law}: ${what}`)),
    ...verdicts
      .filter(({ looked }) => looked === 0)
      .map(({ law }) => `${law}: nothing was looked at`),
    ...ownEnds
      .filter(({ wasReady }) => wasReady)
      .map(({ name, how, lastLines }) => `${name} ended by itself with ${how}: ${lastLines}`),
  ];
}
