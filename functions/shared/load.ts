import type { z } from 'zod';
import { UnreadableRecordError } from '#runtime/errors.ts';
import type { Store, Stored } from '#runtime/store/store.ts';
import type { Read } from './writes.ts';

/** How many reads are under way at once. */
const parallel = 64;

/** One record, or undefined where there is none. @throws UnreadableRecordError */
export async function load<T extends z.ZodType>(
  store: Store,
  path: string,
  schema: T,
): Promise<Read<z.infer<T>> | undefined> {
  const stored = await store.read(path);
  return stored === undefined ? undefined : parse(stored, schema);
}

/** Those of the records that exist, in the order of `paths`. @throws UnreadableRecordError */
export async function loadAll<T extends z.ZodType>(
  store: Store,
  paths: readonly string[],
  schema: T,
): Promise<Read<z.infer<T>>[]> {
  const records: Read<z.infer<T>>[] = [];
  for (let start = 0; start < paths.length; start += parallel) {
    const slice = paths.slice(start, start + parallel);
    const found = await Promise.all(slice.map((path) => load(store, path, schema)));
    records.push(...found.filter((record) => record !== undefined));
  }
  return records;
}

function parse<T extends z.ZodType>(stored: Stored, schema: T): Read<z.infer<T>> {
  const { path, version, data } = stored;
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (error) {
    throw new UnreadableRecordError(path, 'not JSON', { cause: error });
  }
  const result = schema.safeParse(value);
  if (!result.success) {
    throw new UnreadableRecordError(path, result.error.issues[0]?.message ?? 'not valid');
  }
  return { path, version, value: result.data };
}
