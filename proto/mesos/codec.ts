import { CodecError } from './codec-error.ts';
import { decodeJson } from './json-decode.ts';
import { encodeJson } from './json-encode.ts';
import { layoutOf } from './layout.ts';
import { decodeProtobuf } from './protobuf-decode.ts';
import { encodeProtobuf } from './protobuf-encode.ts';
import type { Messages, SchedulerCall, SchedulerEvent } from './types.ts';

/** The two encodings that Mesos speaks. */
export type Encoding = 'protobuf' | 'json';

/** The `Content-Type` of each encoding, exactly: Mesos refuses parameters. */
export const mediaTypes: Readonly<Record<Encoding, string>> = {
  protobuf: 'application/x-protobuf',
  json: 'application/json',
};

/**
 * Reads one message by its name in `types.ts`. What a newer Mesos adds (fields, enum values) is left out.
 * @throws CodecError when the bytes are not that message.
 */
export function decodeMessage<Name extends keyof Messages>(
  name: Name,
  bytes: Uint8Array,
  encoding: Encoding,
): Messages[Name] {
  const layout = layoutOf(name);
  const message =
    encoding === 'protobuf' ? decodeProtobuf(layout, bytes) : decodeJson(layout, bytes);
  // The decoder follows the descriptor that the types were generated from.
  return message as unknown as Messages[Name];
}

/**
 * Writes one message by its name in `types.ts`.
 * @throws CodecError when a required field is missing or a value does not fit its field.
 */
export function encodeMessage<Name extends keyof Messages>(
  name: Name,
  message: Messages[Name],
  encoding: Encoding,
): Uint8Array {
  const layout = layoutOf(name);
  return encoding === 'protobuf' ? encodeProtobuf(layout, message) : encodeJson(layout, message);
}

/** @throws CodecError */
export function decodeEvent(bytes: Uint8Array, encoding: Encoding): SchedulerEvent {
  return decodeMessage('SchedulerEvent', bytes, encoding);
}

/** @throws CodecError */
export function encodeEvent(event: SchedulerEvent, encoding: Encoding): Uint8Array {
  return encodeMessage('SchedulerEvent', event, encoding);
}

/** @throws CodecError */
export function decodeCall(bytes: Uint8Array, encoding: Encoding): SchedulerCall {
  return decodeMessage('SchedulerCall', bytes, encoding);
}

/** @throws CodecError, also for a call without a type or of type UNKNOWN, on which a master aborts. */
export function encodeCall(call: SchedulerCall, encoding: Encoding): Uint8Array {
  if (call.type === undefined || call.type === 'UNKNOWN') {
    const reason = `a call of type ${call.type ?? '(none)'} is never sent: a Mesos master aborts on it`;
    throw new CodecError('mesos.v1.scheduler.Call', 'type', reason);
  }
  return encodeMessage('SchedulerCall', call, encoding);
}
