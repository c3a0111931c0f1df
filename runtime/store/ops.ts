import type { StoreOp } from './store.ts';

/** A record as it was read; `version` is what a replacement is compared with. */
export interface Versioned<T> {
  readonly path: string;
  readonly value: T;
  readonly version: number;
}

/** Makes a record that must not exist. */
export function createOf(path: string, value: object): StoreOp {
  return { kind: 'create', path, data: JSON.stringify(value) };
}

/** Replaces a record at the version read; spread the value read into `next`, so that unknown fields stay. */
export function replaceOf<T extends object>(read: Versioned<T>, next: T): StoreOp {
  return { kind: 'set', path: read.path, version: read.version, data: JSON.stringify(next) };
}

/** Makes a transaction depend on a record that it leaves as it is. */
export function checkOf(read: Versioned<unknown>): StoreOp {
  return { kind: 'check', path: read.path, version: read.version };
}
