import type { Kind } from './layout.ts';

const two32 = 2 ** 32;
const two63 = 2 ** 63;
const two64 = 2 ** 64;
/** The largest doubles that are still 64-bit integers. */
const maxInt64 = two63 - 1024;
const maxUint64 = two64 - 2048;

interface Range {
  readonly least: number;
  readonly most: number;
}

const ranges: Readonly<Partial<Record<Kind, Range>>> = {
  int32: { least: -(2 ** 31), most: 2 ** 31 - 1 },
  uint32: { least: 0, most: two32 - 1 },
  int64: { least: -two63, most: maxInt64 },
  uint64: { least: 0, most: maxUint64 },
};

/**
 * The number of a 64-bit integer. Above 2^53 it is the nearest number that there is: a time in
 * nanoseconds since 1970 is then right to 256 ns.
 */
export function numberOf64(high: number, low: number, unsigned: boolean): number {
  const value = (unsigned ? high >>> 0 : high | 0) * two32 + (low >>> 0);
  return Math.min(value, unsigned ? maxUint64 : maxInt64);
}

/** Whether a number is an integer that fits a field of this kind. */
export function fits(kind: Kind, value: unknown): value is number {
  const range = ranges[kind];
  if (range === undefined || !Number.isInteger(value)) return false;
  const number = value as number;
  return number >= range.least && number <= range.most;
}

const decimal = /^-?\d{1,20}$/;

/** An integer of JSON, which Mesos writes as a number and protobuf's own JSON as a string. */
export function integerOfJson(kind: Kind, value: unknown): number | undefined {
  const number = typeof value === 'string' && decimal.test(value) ? Number(value) : value;
  if (fits(kind, number)) return number + 0;
  // The largest 64-bit integers are no doubles: the nearest one is just beyond them.
  if (kind === 'int64' && number === two63) return maxInt64;
  if (kind === 'uint64' && number === two64) return maxUint64;
  return undefined;
}
