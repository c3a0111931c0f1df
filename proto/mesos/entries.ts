/** A map while it is being read; a key may be any text. */
export type Entries = Record<string, unknown>;

/** Sets one entry, also under a key such as `__proto__` that plain assignment takes for something else. */
export function setEntry(entries: Entries, key: string, value: unknown): void {
  Object.defineProperty(entries, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}
