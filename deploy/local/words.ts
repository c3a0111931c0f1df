import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The bundled text: the Gettysburg Address, 1863. */
export const textFile = join(import.meta.dirname, 'text.txt');

/** What the job wrote: `(word,count)` lines with running counts, of which the highest is the last. */
export function countsIn(folder: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const files = existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true }).filter(
        (entry) => entry.isFile() && !entry.name.startsWith('.'),
      )
    : [];
  for (const file of files) {
    const text = readFileSync(join(file.parentPath, file.name), 'utf8');
    for (const [, word = '', count] of text.matchAll(/^\((.*),(\d+)\)$/gm)) {
      counts.set(word, Math.max(counts.get(word) ?? 0, Number(count)));
    }
  }
  return counts;
}

/** The same counts made here, by the rule of Flink's example: lower case, split at what is no letter or digit. */
export function countsOf(text: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const word of text.toLowerCase().split(/\W+/)) {
    if (word !== '') counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

/** The most frequent words first; equal counts by the alphabet. */
export function mostFrequent(
  counts: ReadonlyMap<string, number>,
  many: number,
): readonly (readonly [string, number])[] {
  const byCount = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return byCount.slice(0, many);
}

/** Words whose counts differ; none when the job was right. */
export function differences(
  found: ReadonlyMap<string, number>,
  expected: ReadonlyMap<string, number>,
): readonly string[] {
  const words = new Set([...found.keys(), ...expected.keys()]);
  return [...words].filter((word) => found.get(word) !== expected.get(word));
}
