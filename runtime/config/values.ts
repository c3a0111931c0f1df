/** How Flink writes values as text; every parser gives undefined for what it does not understand. */

const durationUnits: ReadonlyMap<string, number> = new Map([
  ...['', 'ms', 'milli', 'millis', 'millisecond', 'milliseconds'].map((u) => [u, 1] as const),
  ...['d', 'day', 'days'].map((u) => [u, 86_400_000] as const),
  ...['h', 'hour', 'hours'].map((u) => [u, 3_600_000] as const),
  ...['m', 'min', 'minute', 'minutes'].map((u) => [u, 60_000] as const),
  ...['s', 'sec', 'secs', 'second', 'seconds'].map((u) => [u, 1000] as const),
  ...['µs', 'micro', 'micros', 'microsecond', 'microseconds'].map((u) => [u, 1e-3] as const),
  ...['ns', 'nano', 'nanos', 'nanosecond', 'nanoseconds'].map((u) => [u, 1e-6] as const),
]);

/** Flink's duration (`30 s`, `5min`, `500` = ms) as ms. */
export function parseDuration(text: string): number | undefined {
  const parts = /^(\d+)\s*([a-zµ]*)$/.exec(text.trim().toLowerCase());
  const unit = durationUnits.get(parts?.[2] ?? 'none');
  return parts === null || unit === undefined ? undefined : Number(parts[1]) * unit;
}

const memoryUnits: ReadonlyMap<string, number> = new Map([
  ...['', 'b', 'bytes'].map((u) => [u, 1] as const),
  ...['k', 'kb', 'kibibytes'].map((u) => [u, 2 ** 10] as const),
  ...['m', 'mb', 'mebibytes'].map((u) => [u, 2 ** 20] as const),
  ...['g', 'gb', 'gibibytes'].map((u) => [u, 2 ** 30] as const),
  ...['t', 'tb', 'tebibytes'].map((u) => [u, 2 ** 40] as const),
]);

/** Flink's memory size (`1728m`, `1 gb`, `1024` = bytes) as bytes. */
export function parseMemory(text: string): number | undefined {
  const parts = /^(\d+)\s*([a-z]*)$/.exec(text.trim().toLowerCase());
  const unit = memoryUnits.get(parts?.[2] ?? 'none');
  return parts === null || unit === undefined ? undefined : Number(parts[1]) * unit;
}

/** `true` or `false` in any case. */
export function parseBoolean(text: string): boolean | undefined {
  const lower = text.trim().toLowerCase();
  return lower === 'true' ? true : lower === 'false' ? false : undefined;
}

/** A decimal number, as Java's Double reads it, without its letters. */
export function parseNumber(text: string): number | undefined {
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text.trim()) ? Number(text) : undefined;
}

/** Splits at a separator outside quotes (`"a;b";c`), trims, drops empty parts; a doubled quote stands for itself. */
export function splitQuoted(text: string, separator: string): readonly string[] {
  const parts: string[] = [];
  let part = '';
  let quote: string | undefined;
  for (let at = 0; at < text.length; at++) {
    const letter = text.charAt(at);
    if (quote !== undefined) {
      if (letter !== quote) part += letter;
      else if (text.charAt(at + 1) === quote) part += text.charAt(++at);
      else quote = undefined;
    } else if ((letter === '"' || letter === "'") && part.trim() === '') {
      quote = letter;
    } else if (letter === separator) {
      parts.push(part.trim());
      part = '';
    } else {
      part += letter;
    }
  }
  return [...parts, part.trim()].filter((entry) => entry !== '');
}

/** Joins a list as Flink's older syntax wants it: by `;`, quoted where an entry holds one. */
export function joinList(entries: readonly string[]): string {
  return entries
    .map((entry) => (/[;"']/.test(entry) ? `"${entry.replaceAll('"', '""')}"` : entry))
    .join(';');
}
