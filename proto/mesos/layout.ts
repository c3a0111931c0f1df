import protobuf from 'protobufjs/light.js';
import descriptor from './descriptor.json' with { type: 'json' };
import { typeNameOf } from './type-name.ts';
import type { Messages } from './types.ts';

/** The scalar kinds that Mesos uses, and the two that refer to another type. */
export type Kind =
  | 'string'
  | 'double'
  | 'enum'
  | 'message'
  | 'uint64'
  | 'int64'
  | 'uint32'
  | 'int32'
  | 'bool'
  | 'bytes';

/** One field, with all that reading and writing it needs at hand. */
export interface FieldLayout {
  readonly name: string;
  readonly number: number;
  readonly kind: Kind;
  readonly repeated: boolean;
  readonly required: boolean;
  /** A map: an object here, repeated messages of `key` and `value` on the wire. */
  readonly map: boolean;
  readonly wireType: number;
  /** Number and wire type as they stand before each value. */
  readonly tag: number;
  /** Enum names by number, and back; empty for other kinds. */
  readonly nameOfNumber: ReadonlyMap<number, string>;
  readonly numberOfName: ReadonlyMap<string, number>;
  /** The layout of the message that the field holds. */
  readonly message: () => MessageLayout;
  /** The other fields of its oneof: a value here ends theirs. */
  readonly rivals: readonly string[];
}

/** One message: its fields in the order of their numbers, which is the order on the wire. */
export interface MessageLayout {
  readonly fullName: string;
  readonly fields: readonly FieldLayout[];
  readonly required: readonly FieldLayout[];
  readonly byNumber: ReadonlyMap<number, FieldLayout>;
}

/** Deeper nesting than this is refused, as protobuf's own libraries do. */
export const depthLimit = 100;

const wireTypes: Readonly<Record<Kind, number>> = {
  string: 2,
  double: 1,
  enum: 0,
  message: 2,
  uint64: 0,
  int64: 0,
  uint32: 0,
  int32: 0,
  bool: 0,
  bytes: 2,
};

const types = typesByName();
const layouts = new Map<protobuf.Type, MessageLayout>();

/** The layout of a message by its TypeScript name. */
export function layoutOf(name: keyof Messages): MessageLayout {
  const type = types.get(name);
  if (type === undefined) throw new RangeError(`Mesos has no message ${name}`);
  return layoutOfType(type);
}

function typesByName(): ReadonlyMap<string, protobuf.Type> {
  const found = new Map<string, protobuf.Type>();
  const visit = (namespace: protobuf.NamespaceBase): void => {
    for (const nested of namespace.nestedArray) {
      if (nested instanceof protobuf.Type) found.set(typeNameOf(nested.fullName.slice(1)), nested);
      if (nested instanceof protobuf.Namespace) visit(nested);
    }
  };
  visit(protobuf.Root.fromJSON(descriptor).resolveAll());
  return found;
}

function layoutOfType(type: protobuf.Type): MessageLayout {
  const known = layouts.get(type);
  if (known !== undefined) return known;
  const fields = type.fieldsArray
    .map(layoutOfField)
    .sort((one, other) => one.number - other.number);
  const layout = layoutOfFields(type.fullName.slice(1), fields);
  layouts.set(type, layout);
  return layout;
}

function layoutOfFields(fullName: string, fields: readonly FieldLayout[]): MessageLayout {
  return {
    fullName,
    fields,
    required: fields.filter((field) => field.required),
    byNumber: new Map(fields.map((field) => [field.number, field])),
  };
}

function layoutOfField(field: protobuf.Field): FieldLayout {
  const value = layoutOfValue(field);
  if (!field.map) return value;
  const entry = entryOf(field, value);
  return { ...value, ...wireOf('message', field.id), map: true, message: () => entry };
}

function layoutOfValue(field: protobuf.Field): FieldLayout {
  const kind = kindOf(field);
  const values = field.resolvedType instanceof protobuf.Enum ? field.resolvedType.values : {};
  const numberOfName = new Map(Object.entries(values));
  return {
    name: field.name,
    ...wireOf(kind, field.id),
    repeated: field.repeated,
    required: field.required,
    map: false,
    numberOfName,
    nameOfNumber: new Map([...numberOfName].map(([name, number]) => [number, name])),
    message: () => messageOf(field),
    rivals: (field.partOf?.oneof ?? []).filter((name) => name !== field.name),
  };
}

/** The message that carries one entry of a map. */
function entryOf(field: protobuf.Field, value: FieldLayout): MessageLayout {
  const fields: readonly FieldLayout[] = [
    { ...value, name: 'key', ...wireOf('string', 1), required: true },
    { ...value, name: 'value', ...wireOf(value.kind, 2), required: true },
  ];
  return layoutOfFields(field.fullName.slice(1), fields);
}

function wireOf(
  kind: Kind,
  number: number,
): Pick<FieldLayout, 'kind' | 'number' | 'wireType' | 'tag'> {
  const wireType = wireTypes[kind];
  return { kind, number, wireType, tag: number * 8 + wireType };
}

function kindOf(field: protobuf.Field): Kind {
  if (field.resolvedType instanceof protobuf.Enum) return 'enum';
  if (field.resolvedType instanceof protobuf.Type) return 'message';
  if (Object.hasOwn(wireTypes, field.type)) return field.type as Kind;
  throw new RangeError(`${field.fullName} has type ${field.type}, which Mesos does not use`);
}

function messageOf(field: protobuf.Field): MessageLayout {
  if (field.resolvedType instanceof protobuf.Type) return layoutOfType(field.resolvedType);
  throw new RangeError(`${field.fullName} holds no message`);
}
