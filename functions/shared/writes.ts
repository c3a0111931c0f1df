import type { StoreOp } from '#runtime/store/store.ts';

/** A record as it was read; it is replaced only at that version. */
export interface Read<T> {
  readonly path: string;
  readonly version: number;
  readonly value: T;
}

/** A new record. */
export function created(path: string, value: unknown): StoreOp {
  return { kind: 'create', path, data: JSON.stringify(value) };
}

/** The record as it shall be from now on. */
export function replaced<T>(read: Read<T>, value: T): StoreOp {
  return { kind: 'set', path: read.path, data: JSON.stringify(value), version: read.version };
}

/** The record goes. */
export function removed(read: Read<unknown>): StoreOp {
  return { kind: 'remove', path: read.path, version: read.version };
}

/** Nothing is written unless the record still is as it was read. */
export function unchanged(read: Read<unknown>): StoreOp {
  return { kind: 'check', path: read.path, version: read.version };
}
