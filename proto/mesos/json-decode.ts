import { isObject, isText, shown } from './check.ts';
import { CodecError } from './codec-error.ts';
import { type Entries, setEntry } from './entries.ts';
import { integerOfJson } from './integers.ts';
import { depthLimit, type FieldLayout, type MessageLayout } from './layout.ts';

/** @throws CodecError when the bytes are not this message in Mesos' JSON. */
export function decodeJson(layout: MessageLayout, bytes: Uint8Array): Record<string, unknown> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new CodecError(layout.fullName, undefined, 'not JSON', { cause });
  }
  return readMessage(layout, json, 0);
}

function readMessage(layout: MessageLayout, json: unknown, depth: number): Record<string, unknown> {
  if (depth > depthLimit) throw new CodecError(layout.fullName, undefined, 'nested too deeply');
  if (!isObject(json)) throw new CodecError(layout.fullName, undefined, 'must be an object');
  const message: Record<string, unknown> = {};
  for (const field of layout.fields) {
    const given = json[field.name];
    const value =
      given === undefined || given === null ? undefined : readField(layout, field, given, depth);
    if (value !== undefined) {
      message[field.name] = value;
      for (const rival of field.rivals) delete message[rival];
    } else if (field.required) {
      throw new CodecError(layout.fullName, field.name, missing(given));
    }
  }
  return message;
}

function missing(given: unknown): string {
  if (given === undefined || given === null) return 'required, but missing';
  return `no such name or number in its enum: ${shown(given)}`;
}

function readField(
  layout: MessageLayout,
  field: FieldLayout,
  given: unknown,
  depth: number,
): unknown {
  if (field.map) return readEntries(layout, field, given, depth);
  if (!field.repeated) return readValue(layout, field, given, depth);
  if (!Array.isArray(given)) throw new CodecError(layout.fullName, field.name, 'must be a list');
  const values: unknown[] = [];
  for (const item of given) {
    const value = readValue(layout, field, item, depth);
    if (value !== undefined) values.push(value);
  }
  return values.length === 0 ? undefined : values;
}

function readEntries(
  layout: MessageLayout,
  field: FieldLayout,
  given: unknown,
  depth: number,
): Entries | undefined {
  if (!isObject(given)) throw new CodecError(layout.fullName, field.name, 'must be an object');
  const entries: Entries = {};
  const pairs = Object.entries(given);
  for (const [key, value] of pairs) {
    const entry = readMessage(field.message(), { key, value }, depth + 1);
    setEntry(entries, key, entry.value);
  }
  return pairs.length === 0 ? undefined : entries;
}

function readValue(
  layout: MessageLayout,
  field: FieldLayout,
  given: unknown,
  depth: number,
): unknown {
  switch (field.kind) {
    case 'message':
      return readMessage(field.message(), given, depth + 1);
    case 'enum':
      return enumName(field, given) ?? unknownName(layout, field, given);
    default:
      return readScalar(field, given) ?? refuse(layout, field, given);
  }
}

function readScalar(field: FieldLayout, given: unknown): unknown {
  switch (field.kind) {
    case 'string':
      return isText(given) ? given : undefined;
    case 'double':
      return Number.isFinite(given) ? given : undefined;
    case 'bool':
      return typeof given === 'boolean' ? given : undefined;
    case 'bytes':
      return typeof given === 'string' ? bytesOf(given) : undefined;
    default:
      return integerOfJson(field.kind, given);
  }
}

function enumName(field: FieldLayout, given: unknown): string | undefined {
  if (typeof given === 'number') return field.nameOfNumber.get(given);
  return typeof given === 'string' && field.numberOfName.has(given) ? given : undefined;
}

/** A name from the future is as if the field were not there; anything else is no enum. */
function unknownName(layout: MessageLayout, field: FieldLayout, given: unknown): undefined {
  if (typeof given !== 'string' && typeof given !== 'number') refuse(layout, field, given);
  return undefined;
}

const base64 = /^[A-Za-z0-9+/]*={0,2}$/;

function bytesOf(text: string): Uint8Array | undefined {
  return base64.test(text) ? new Uint8Array(Buffer.from(text, 'base64')) : undefined;
}

function refuse(layout: MessageLayout, field: FieldLayout, given: unknown): never {
  const wanted = field.kind === 'bytes' ? 'base64' : `a ${field.kind}`;
  throw new CodecError(layout.fullName, field.name, `must be ${wanted}, not ${shown(given)}`);
}
