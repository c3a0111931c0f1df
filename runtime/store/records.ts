import type { z } from 'zod';
import { UnreadableRecordError } from '../errors.ts';
import type { Versioned } from './ops.ts';
import { inParallel } from './parallel.ts';
import type { Store, Stored } from './store.ts';

const readsAtOnce = 64;

/**
 * Reads one record; undefined where there is none.
 * @throws UnreadableRecordError it is no JSON, does not fit the schema or was written by a newer drey.
 * @throws StoreUnavailableError
 */
export async function readRecord<T>(
  store: Store,
  path: string,
  schema: z.ZodType<T>,
): Promise<Versioned<T> | undefined> {
  const stored = await store.read(path);
  return stored && parseRecord(stored, schema);
}

/** Reads many records in the order of their paths, undefined where there is none; 64 at a time. */
export function readMany<T>(
  store: Store,
  paths: readonly string[],
  schema: z.ZodType<T>,
): Promise<(Versioned<T> | undefined)[]> {
  return inParallel(paths, readsAtOnce, (path) => readRecord(store, path, schema));
}

/** Those of the records that exist, in the order of their paths. */
export async function readExisting<T>(
  store: Store,
  paths: readonly string[],
  schema: z.ZodType<T>,
): Promise<Versioned<T>[]> {
  const records = await readMany(store, paths, schema);
  return records.filter((record) => record !== undefined);
}

/** Told of each record that is there and cannot be read. */
export type NoteUnreadable = (error: UnreadableRecordError) => void;

/**
 * Those of the records that exist and can be read, in the order of their paths. The others are
 * noted and left out: for records that are found in a list, each of which is decided for itself.
 */
export async function readReadable<T>(
  store: Store,
  paths: readonly string[],
  schema: z.ZodType<T>,
  note: NoteUnreadable,
): Promise<Versioned<T>[]> {
  const records = await inParallel(paths, readsAtOnce, async (path) => {
    try {
      return await readRecord(store, path, schema);
    } catch (error) {
      if (!(error instanceof UnreadableRecordError)) throw error;
      note(error);
      return undefined;
    }
  });
  return records.filter((record) => record !== undefined);
}

/** Reads every child of a folder as a record; those that vanish in the meantime are left out. */
export async function readChildren<T>(
  store: Store,
  folder: string,
  schema: z.ZodType<T>,
): Promise<Versioned<T>[]> {
  const names = await store.list(folder);
  return readExisting(
    store,
    names.map((name) => `${folder}/${name}`),
    schema,
  );
}

/** A store that remembers its readings hands out the same one again: it is parsed once. */
const parsedBefore = new WeakMap<Stored, { readonly schema: unknown; readonly record: unknown }>();

/** @throws UnreadableRecordError it is no JSON, does not fit the schema or was written by a newer drey. */
export function parseRecord<T>(stored: Stored, schema: z.ZodType<T>): Versioned<T> {
  const before = parsedBefore.get(stored);
  if (before?.schema === schema) return before.record as Versioned<T>;
  const record = parse(stored, schema);
  parsedBefore.set(stored, { schema, record });
  return record;
}

function parse<T>(stored: Stored, schema: z.ZodType<T>): Versioned<T> {
  const { path, version } = stored;
  let json: unknown;
  try {
    json = JSON.parse(stored.data);
  } catch (error) {
    throw new UnreadableRecordError(path, 'it is no JSON', { cause: error });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return { path, version, value: parsed.data };
  const { issues } = parsed.error;
  const v = json !== null && typeof json === 'object' && 'v' in json ? json.v : undefined;
  const newer = typeof v === 'number' && issues.some((issue) => issue.path[0] === 'v');
  const why = newer
    ? `its schema version ${v} is not known here, a newer drey wrote it`
    : issues.map((issue) => `${issue.path.join('.') || 'record'}: ${issue.message}`).join('; ');
  throw new UnreadableRecordError(path, why, { cause: parsed.error });
}
