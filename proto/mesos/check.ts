import { CodecError } from './codec-error.ts';
import { fits } from './integers.ts';
import { depthLimit, type FieldLayout, type MessageLayout } from './layout.ts';

/**
 * The values of a field that are to be written, checked in kind and number; none when it is absent.
 * Those of a map are its entries.
 * @throws CodecError for a required field that is missing and for a value that the field cannot hold.
 */
export function valuesOf(
  layout: MessageLayout,
  field: FieldLayout,
  message: Readonly<Record<string, unknown>>,
): readonly unknown[] {
  const value = message[field.name];
  if (value === undefined) {
    if (field.required) throw new CodecError(layout.fullName, field.name, 'required, but missing');
    return nothing;
  }
  for (const rival of field.rivals) {
    if (message[rival] !== undefined) {
      throw new CodecError(layout.fullName, field.name, `set together with ${rival}`);
    }
  }
  if (field.map) {
    if (isObject(value)) return Object.entries(value).map(([key, item]) => ({ key, value: item }));
    throw new CodecError(layout.fullName, field.name, 'must be an object');
  }
  if (!field.repeated) {
    checkValue(layout, field, value);
    return [value];
  }
  if (!Array.isArray(value)) throw new CodecError(layout.fullName, field.name, 'must be a list');
  for (const item of value) checkValue(layout, field, item);
  return value;
}

const nothing: readonly unknown[] = [];

/** @throws CodecError when a message is nested more deeply than any reader accepts, or is no object. */
export function messageValue(
  layout: MessageLayout,
  value: unknown,
  depth: number,
): Readonly<Record<string, unknown>> {
  if (depth > depthLimit) throw new CodecError(layout.fullName, undefined, 'nested too deeply');
  if (!isObject(value)) throw new CodecError(layout.fullName, undefined, 'must be an object');
  return value;
}

/** Whether a value can be a message: neither null nor a list nor a scalar. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether a value is a text that UTF-8 can carry: no lone surrogate in it. */
export function isText(value: unknown): value is string {
  return typeof value === 'string' && value.isWellFormed();
}

function checkValue(layout: MessageLayout, field: FieldLayout, value: unknown): void {
  const wanted = mismatch(field, value);
  if (wanted !== undefined) {
    throw new CodecError(layout.fullName, field.name, `must be ${wanted}, not ${shown(value)}`);
  }
}

function mismatch(field: FieldLayout, value: unknown): string | undefined {
  switch (field.kind) {
    case 'string':
      return isText(value) ? undefined : 'a well-formed text';
    case 'double':
      return typeof value === 'number' ? undefined : 'a number';
    case 'bool':
      return typeof value === 'boolean' ? undefined : 'true or false';
    case 'bytes':
      return value instanceof Uint8Array ? undefined : 'bytes';
    case 'enum':
      return field.numberOfName.has(value as string) ? undefined : 'a name of its enum';
    case 'message':
      return isObject(value) ? undefined : 'an object';
    default:
      return fits(field.kind, value) ? undefined : `an integer of ${field.kind}`;
  }
}

/** A value in an error: short, and never a secret in full. */
export function shown(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40));
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}
