import protobuf from 'protobufjs/light.js';
import { messageValue, valuesOf } from './check.ts';
import type { FieldLayout, MessageLayout } from './layout.ts';

/** @throws CodecError when the value is not a whole message of this type. */
export function encodeProtobuf(layout: MessageLayout, value: unknown): Uint8Array {
  const writer = protobuf.Writer.create();
  writeMessage(writer, layout, value, 0);
  return writer.finish();
}

function writeMessage(
  writer: protobuf.Writer,
  layout: MessageLayout,
  value: unknown,
  depth: number,
): void {
  const message = messageValue(layout, value, depth);
  for (const field of layout.fields) {
    for (const item of valuesOf(layout, field, message)) {
      writer.uint32(field.tag);
      if (field.kind === 'message') {
        writer.fork();
        writeMessage(writer, field.message(), item, depth + 1);
        writer.ldelim();
      } else {
        writeScalar(writer, field, item);
      }
    }
  }
}

/** The value has been checked against the field's kind. */
function writeScalar(writer: protobuf.Writer, field: FieldLayout, value: unknown): void {
  switch (field.kind) {
    case 'string':
      writer.string(value as string);
      return;
    case 'double':
      writer.double(value as number);
      return;
    case 'enum':
      writer.int32(field.numberOfName.get(value as string) as number);
      return;
    case 'uint64':
      writer.uint64(value as number);
      return;
    case 'int64':
      writer.int64(value as number);
      return;
    case 'uint32':
      writer.uint32(value as number);
      return;
    case 'int32':
      writer.int32(value as number);
      return;
    case 'bool':
      writer.bool(value as boolean);
      return;
    case 'bytes':
      writer.bytes(value as Uint8Array);
      return;
    case 'message':
      throw new RangeError(`${field.name} is no scalar`);
  }
}
