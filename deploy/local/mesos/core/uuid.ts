/** A stream of ids that depends on its seed alone, so that a run can be repeated. */
export interface UuidSource {
  state: bigint;
}

const mask64 = (1n << 64n) - 1n;

/** @param seed 64 random bits; two sources with different seeds do not meet. */
export function uuidSource(seed: bigint): UuidSource {
  return { state: seed & mask64 };
}

/** The next id: 16 bytes of a random uuid (version 4). */
export function nextUuid(source: UuidSource): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, next64(source));
  view.setBigUint64(8, next64(source));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes;
}

/** SplitMix64: a counter whose every value is mixed well. */
function next64(source: UuidSource): bigint {
  source.state = (source.state + 0x9e3779b97f4a7c15n) & mask64;
  let z = source.state;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask64;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask64;
  return z ^ (z >> 31n);
}

const hex: readonly string[] = Array.from({ length: 256 }, (_, n) =>
  n.toString(16).padStart(2, '0'),
);

/** `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`. */
export function uuidText(bytes: Uint8Array): string {
  const text = hexOf(bytes);
  const cuts = [0, 8, 12, 16, 20, 32];
  return cuts
    .slice(1)
    .map((end, n) => text.slice(cuts[n], end))
    .join('-');
}

/** The bytes as a text that can be compared. */
export function hexOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += hex[byte];
  return text;
}
