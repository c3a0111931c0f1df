import protobuf from 'protobufjs/light.js';
import { CodecError } from './codec-error.ts';
import { type Entries, setEntry } from './entries.ts';
import { numberOf64 } from './integers.ts';
import { depthLimit, type FieldLayout, type MessageLayout } from './layout.ts';

/** Fields by name, while a message is being read. */
type Fields = Record<string, unknown>;

/** Where in the bytes the decoder is, so that an error can name message and field. */
interface Cursor {
  readonly reader: protobuf.Reader;
  layout: MessageLayout;
  field: FieldLayout | undefined;
}

/** @throws CodecError when the bytes are not this message. */
export function decodeProtobuf(layout: MessageLayout, bytes: Uint8Array): Fields {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const cursor: Cursor = { reader: protobuf.Reader.create(buffer), layout, field: undefined };
  try {
    return readMessage(cursor, layout, {}, 0);
  } catch (cause) {
    if (cause instanceof CodecError || cause instanceof TypeError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CodecError(cursor.layout.fullName, cursor.field?.name, reason, { cause });
  }
}

function readMessage(cursor: Cursor, layout: MessageLayout, into: Fields, depth: number): Fields {
  const { reader } = cursor;
  if (depth > depthLimit) throw new CodecError(layout.fullName, undefined, 'nested too deeply');
  while (reader.pos < reader.len) {
    cursor.layout = layout;
    cursor.field = undefined;
    const tag = reader.tag();
    const field = layout.byNumber.get(tag >>> 3);
    cursor.field = field;
    if (field?.tag === tag) readField(cursor, field, into, depth);
    else if (field !== undefined && isPacked(field, tag)) readPacked(cursor, field, into, depth);
    else reader.skipType(tag & 7, 0, tag >>> 3);
  }
  for (const field of layout.required) {
    if (into[field.name] === undefined) {
      throw new CodecError(layout.fullName, field.name, 'required, but missing');
    }
  }
  return into;
}

/** Scalars that repeat may also come in one piece, whoever declared them. */
function isPacked(field: FieldLayout, tag: number): boolean {
  return field.repeated && field.wireType !== 2 && (tag & 7) === 2;
}

function readPacked(cursor: Cursor, field: FieldLayout, into: Fields, depth: number): void {
  const { reader } = cursor;
  const outerEnd = enter(reader);
  while (reader.pos < reader.len) readField(cursor, field, into, depth);
  reader.len = outerEnd;
}

function readField(cursor: Cursor, field: FieldLayout, into: Fields, depth: number): void {
  if (field.map) {
    readEntry(cursor, field, into, depth);
    return;
  }
  const value =
    field.kind === 'message'
      ? readNested(cursor, field, into, depth)
      : readScalar(cursor.reader, field);
  // Only an enum number that this API does not know: as if the field were not there.
  if (value === undefined) return;
  if (!field.repeated) {
    into[field.name] = value;
    for (const rival of field.rivals) delete into[rival];
    return;
  }
  const values = into[field.name] as unknown[] | undefined;
  if (values === undefined) into[field.name] = [value];
  else values.push(value);
}

function readEntry(cursor: Cursor, field: FieldLayout, into: Fields, depth: number): void {
  const entry = readPiece(cursor, field.message(), {}, depth);
  let entries = into[field.name] as Entries | undefined;
  if (entries === undefined) {
    entries = {};
    into[field.name] = entries;
  }
  setEntry(entries, entry.key as string, entry.value);
}

function readNested(cursor: Cursor, field: FieldLayout, into: Fields, depth: number): Fields {
  // A message that comes in two parts is one message.
  const earlier = field.repeated ? undefined : (into[field.name] as Fields | undefined);
  return readPiece(cursor, field.message(), earlier ?? {}, depth);
}

function readPiece(cursor: Cursor, layout: MessageLayout, into: Fields, depth: number): Fields {
  const outerEnd = enter(cursor.reader);
  const value = readMessage(cursor, layout, into, depth + 1);
  cursor.reader.len = outerEnd;
  return value;
}

/** Narrows the reader to the piece whose length comes next, so that nothing reads beyond it. */
function enter(reader: protobuf.Reader): number {
  const outerEnd = reader.len;
  const length = reader.size();
  if (length > outerEnd - reader.pos) {
    throw new RangeError(`${length} bytes announced, ${outerEnd - reader.pos} left`);
  }
  reader.len = reader.pos + length;
  return outerEnd;
}

function readScalar(reader: protobuf.Reader, field: FieldLayout): unknown {
  switch (field.kind) {
    case 'string':
      return reader.string();
    case 'double':
      return reader.double();
    case 'enum':
      return field.nameOfNumber.get(enumNumber(reader));
    case 'uint64':
      return number64(reader.uint64(), true);
    case 'int64':
      return number64(reader.int64(), false);
    case 'uint32':
      return reader.uint32();
    case 'int32':
      return reader.int32();
    case 'bool':
      return reader.bool();
    case 'bytes':
      // A copy of its own: a view would keep the whole event in memory.
      return new Uint8Array(reader.bytes());
    case 'message':
      throw new RangeError(`${field.name} is no scalar`);
  }
}

/** The whole number: cut to 32 bits, one that is not known could look like one that is. */
function enumNumber(reader: protobuf.Reader): number {
  const first = reader.buf[reader.pos];
  return first !== undefined && first < 128 ? reader.int32() : number64(reader.int64(), false);
}

function number64(value: { high: number; low: number }, unsigned: boolean): number {
  return numberOf64(value.high, value.low, unsigned);
}
