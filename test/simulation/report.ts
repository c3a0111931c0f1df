import type { Told } from './pool.ts';
import type { Shrunk } from './shrink.ts';
import type { Outcome } from './simulate.ts';
import { type Cell, inputs, rows } from './table.ts';

/** One seed as text: digest, what struck, which law was broken, and the time line that leads to it. */
export function report(outcome: Outcome, lines: number, about?: readonly string[]): string {
  const { seed, digest, events, virtualMs, faults, violations, history } = outcome;
  const broken = violations[0];
  const named = about ?? broken?.about ?? [];
  return [
    `seed ${seed}  digest ${digest}  ${events} events in ${(virtualMs / 1000).toFixed(0)} virtual s`,
    `faults: ${listed(faults)}`,
    ...(broken === undefined ? ['no law was broken'] : [`BROKEN: ${broken.law}: ${broken.what}`]),
    ...(broken === undefined && about === undefined ? [] : history.timeline(lines, named)),
  ].join('\n');
}

/** A violation with the faults that it needs, and the time line of that shorter history. */
export function reportShrunk({ outcome, left, runs }: Shrunk, lines: number): string {
  const needs = left.map(({ atMs, kind }) => `${(atMs / 1000).toFixed(3)} s ${kind}`);
  return [
    report(outcome, lines),
    `It needs ${left.length} of ${outcome.plan.strikes.length} faults, found in ${runs} runs:`,
    ...(needs.length === 0 ? ['none'] : needs),
  ].join('\n');
}

/** Many seeds in a few lines: how much happened, what struck, what was broken. */
export function summary(told: readonly Told[], seconds: number): string {
  const events = told.reduce((sum, { events: count }) => sum + count, 0);
  const virtual = told.reduce((sum, { virtualMs }) => sum + virtualMs, 0) / 3_600_000;
  const broken = told.filter((one) => one.broken !== undefined).length;
  return [
    `${told.length} seeds, ${events} events, ${virtual.toFixed(1)} virtual hours`,
    `faults: ${listed(summed(told.map(({ faults }) => faults)))}`,
    `${broken} violations in ${seconds.toFixed(1)} s, ${(told.length / seconds).toFixed(1)} seeds/s`,
  ].join('\n');
}

/** The table state x event with its counts; `.` never happened. */
export function tableOf(cells: ReadonlyMap<Cell, number>): string {
  const head = ['', ...inputs];
  const body = rows.map((row) => [
    row,
    ...inputs.map((input) => String(cells.get(`${row} × ${input}`) ?? '.')),
  ]);
  return [head, ...body].map((line) => line.map((text) => text.padStart(11)).join('')).join('\n');
}

/** Adds up the counts of many seeds. */
export function summed<K extends string>(
  counts: readonly ReadonlyMap<K, number>[],
): ReadonlyMap<K, number> {
  const sum = new Map<K, number>();
  for (const one of counts) {
    for (const [key, count] of one) sum.set(key, (sum.get(key) ?? 0) + count);
  }
  return sum;
}

function listed(counts: ReadonlyMap<string, number>): string {
  const parts = [...counts].sort().map(([kind, count]) => `${kind} ${count}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}
