import { availableParallelism, loadavg } from 'node:os';

/** Prints what was measured, beside the tests. */
export function note(what: string, figures: Readonly<Record<string, string | number>> = {}): void {
  const list = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
  console.log(`# ${[what, ...list].join(', ')}`);
}

/** Seconds since a moment of `performance.now()`. */
export function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(2);
}

/** Prints figures of drey beside those of the old integration on a real Mesos. */
export function compare(
  title: string,
  rows: readonly (readonly [what: string, ours: number | undefined, theirs: string])[],
): void {
  const [load = 0] = loadavg();
  console.log(`# ${title} (load ${load.toFixed(1)} on ${availableParallelism()} cores)`);
  console.log(`#   ${'phase'.padEnd(44)} ${'drey s'.padStart(8)}   Flink 1.13 on a real Mesos, s`);
  for (const [what, ours, theirs] of rows) {
    const figure = ours === undefined ? '-' : ours.toFixed(2);
    console.log(`#   ${what.padEnd(44)} ${figure.padStart(8)}   ${theirs}`);
  }
}
