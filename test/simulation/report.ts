import type { Outcome } from './simulate.ts';

/** One seed as text: digest, what struck, which law was broken, and the time line that leads to it. */
export function report(outcome: Outcome, lines: number, about?: readonly string[]): string {
  const { seed, digest, events, virtualMs, faults, violations, history } = outcome;
  const struck = [...faults].map(([kind, count]) => `${kind} ${count}`).join(', ');
  const broken = violations[0];
  const named = about ?? broken?.about ?? [];
  return [
    `seed ${seed}  digest ${digest}  ${events} events in ${(virtualMs / 1000).toFixed(0)} virtual s`,
    `faults: ${struck === '' ? 'none' : struck}`,
    ...(broken === undefined ? ['no law was broken'] : [`BROKEN: ${broken.law}: ${broken.what}`]),
    ...(broken === undefined && about === undefined ? [] : history.timeline(lines, named)),
  ].join('\n');
}

/** Many seeds in a few lines: how much happened, what struck, what was broken. */
export function summary(outcomes: readonly Outcome[], seconds: number): string {
  const events = outcomes.reduce((sum, { events: count }) => sum + count, 0);
  const virtual = outcomes.reduce((sum, { virtualMs }) => sum + virtualMs, 0) / 3_600_000;
  const faults = new Map<string, number>();
  for (const outcome of outcomes) {
    for (const [kind, count] of outcome.faults) faults.set(kind, (faults.get(kind) ?? 0) + count);
  }
  const broken = outcomes.filter(({ violations }) => violations.length > 0).length;
  const struck = [...faults].sort().map(([kind, count]) => `${kind} ${count}`);
  return [
    `${outcomes.length} seeds, ${events} events, ${virtual.toFixed(1)} virtual hours`,
    `faults: ${struck.join(', ')}`,
    `${broken} violations in ${seconds.toFixed(1)} s, ${(outcomes.length / seconds).toFixed(1)} seeds/s`,
  ].join('\n');
}
