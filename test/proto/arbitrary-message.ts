import fc from 'fast-check';
import { type FieldLayout, layoutOf, type MessageLayout } from '#proto/mesos/layout.ts';
import type { Messages } from '#proto/mesos/types.ts';

type Fields = Record<string, unknown>;
const deepest = 4;

/** Any whole message of this type, with every field that the API has, as `types.ts` describes it. */
export function anyMessage(name: keyof Messages): fc.Arbitrary<Fields> {
  return messageOf(layoutOf(name), 0);
}

/** Names of all messages that a program can meet, by what travels on its own. */
export const travelling: readonly (keyof Messages)[] = [
  'SchedulerEvent',
  'SchedulerCall',
  'MasterCall',
  'MasterResponse',
  'MasterEvent',
  'AgentCall',
  'AgentResponse',
  'ExecutorCall',
  'ExecutorEvent',
  'ResourceProviderCall',
  'ResourceProviderEvent',
];

function messageOf(layout: MessageLayout, depth: number): fc.Arbitrary<Fields> {
  const fields = layout.fields.filter((field) => field.required || depth < deepest);
  const values = fields.map((field) =>
    fieldOf(field, depth).map((value) => [field, value] as const),
  );
  return fc.tuple(...values).map((pairs) => {
    const message: Fields = {};
    for (const [field, value] of pairs) {
      const rivalled = field.rivals.some((rival) => message[rival] !== undefined);
      if (value !== undefined && !rivalled) message[field.name] = value;
    }
    return message;
  });
}

function fieldOf(field: FieldLayout, depth: number): fc.Arbitrary<unknown> {
  if (field.map) return absentWhenEmpty(fc.dictionary(fc.string(), entryOf(field, depth)));
  const value = anyValue(field, depth);
  if (field.required) return value;
  if (field.repeated) return sparse(fc.array(value, { minLength: 1, maxLength: 2 }), depth);
  return sparse(value, depth);
}

function sparse(value: fc.Arbitrary<unknown>, depth: number): fc.Arbitrary<unknown> {
  return fc.option(value, { nil: undefined, freq: depth === 0 ? 4 : 2 });
}

function absentWhenEmpty(entries: fc.Arbitrary<object>): fc.Arbitrary<object | undefined> {
  return entries.map((found) => (Object.keys(found).length === 0 ? undefined : { ...found }));
}

function entryOf(field: FieldLayout, depth: number): fc.Arbitrary<unknown> {
  const value = field.message().fields[1];
  if (value === undefined) throw new Error(`${field.name} has no values`);
  return anyValue(value, depth);
}

function anyValue(field: FieldLayout, depth: number): fc.Arbitrary<unknown> {
  switch (field.kind) {
    case 'string':
      return fc.string({ unit: 'binary' });
    case 'double':
      return fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
    case 'enum':
      return fc.constantFrom(...field.numberOfName.keys());
    case 'message':
      return messageOf(field.message(), depth + 1);
    case 'uint64':
      return fc.oneof(fc.maxSafeNat(), fc.bigInt({ min: 0n, max: 2n ** 64n - 2048n }).map(Number));
    case 'int64':
      return fc.oneof(fc.maxSafeInteger(), signed64);
    case 'uint32':
      return fc.integer({ min: 0, max: 2 ** 32 - 1 });
    case 'int32':
      return fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    case 'bool':
      return fc.boolean();
    case 'bytes':
      return fc.uint8Array({ maxLength: 40 });
  }
}

const signed64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1024n }).map(Number);
