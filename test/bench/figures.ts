/** The value below which the given share of the samples lies. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1);
  return sorted[Math.max(0, at)] ?? Number.NaN;
}

/** One line of the report. */
export interface Row {
  readonly what: string;
  readonly value: string;
}

/** p50 and p99 of samples in ms. */
export function latencyRow(what: string, samples: readonly number[]): Row {
  const [p50, p99] = [percentile(samples, 0.5), percentile(samples, 0.99)];
  const value = `p50 ${p50.toFixed(2)} ms   p99 ${p99.toFixed(2)} ms   n ${samples.length}`;
  return { what, value };
}

/** A ratio to the limit measured in the same run. */
export function ratioRow(what: string, ratio: number): Row {
  return { what, value: ratio.toFixed(2) };
}

export function printTable(title: string, rows: readonly Row[]): void {
  const width = Math.max(...rows.map(({ what }) => what.length));
  console.log(`\n${title}`);
  for (const { what, value } of rows) console.log(`  ${what.padEnd(width)}  ${value}`);
}
