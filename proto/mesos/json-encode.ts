import { messageValue, valuesOf } from './check.ts';
import { CodecError } from './codec-error.ts';
import { type Entries, setEntry } from './entries.ts';
import type { FieldLayout, MessageLayout } from './layout.ts';

/** @throws CodecError when the value is not a whole message of this type. */
export function encodeJson(layout: MessageLayout, value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(jsonOfMessage(layout, value, 0)), 'utf8');
}

function jsonOfMessage(
  layout: MessageLayout,
  value: unknown,
  depth: number,
): Record<string, unknown> {
  const message = messageValue(layout, value, depth);
  const json: Record<string, unknown> = {};
  for (const field of layout.fields) {
    const values = valuesOf(layout, field, message);
    if (values.length === 0) continue;
    const items = values.map((item) => jsonOf(layout, field, item, depth));
    if (field.map) json[field.name] = jsonOfEntries(items);
    else json[field.name] = field.repeated ? items : items[0];
  }
  return json;
}

function jsonOfEntries(items: readonly unknown[]): Entries {
  const entries: Entries = {};
  for (const item of items) {
    const { key, value } = item as { readonly key: string; readonly value: unknown };
    setEntry(entries, key, value);
  }
  return entries;
}

/** The value has been checked against the field's kind. */
function jsonOf(layout: MessageLayout, field: FieldLayout, value: unknown, depth: number): unknown {
  switch (field.kind) {
    case 'message':
      return jsonOfMessage(field.message(), value, depth + 1);
    case 'bytes':
      return Buffer.from(value as Uint8Array).toString('base64');
    case 'double':
      if (!Number.isFinite(value)) {
        throw new CodecError(layout.fullName, field.name, `JSON has no number ${value}`);
      }
      return value;
    default:
      return value;
  }
}
