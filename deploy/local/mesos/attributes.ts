import type { Attribute } from '#proto/mesos/types.ts';

/** Reads `rack:r1;cores:16;ssd:[1-4]`, the agent's `--attributes`. */
export function parseAttributes(text: string): readonly Attribute[] {
  return text
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parseAttribute);
}

function parseAttribute(text: string): Attribute {
  const colon = text.indexOf(':');
  const name = text.slice(0, colon).trim();
  const value = text.slice(colon + 1).trim();
  if (colon < 1 || value === '') throw new RangeError(`'${text}' is no attribute: name:value`);
  if (/^-?\d+(\.\d+)?$/.test(value))
    return { name, type: 'SCALAR', scalar: { value: Number(value) } };
  const range = /^\[(\d+-\d+(?:,\s*\d+-\d+)*)\]$/.exec(value)?.[1];
  if (range === undefined) return { name, type: 'TEXT', text: { value } };
  const parts = range.split(',').map((part) => {
    const [begin = 0, end = 0] = part.split('-').map(Number);
    return { begin, end };
  });
  return { name, type: 'RANGES', ranges: { range: parts } };
}
