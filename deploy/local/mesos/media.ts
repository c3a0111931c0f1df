import type { IncomingMessage } from 'node:http';
import { decodeMessage, type Encoding, mediaTypes } from '#proto/mesos/codec.ts';
import { CodecError } from '#proto/mesos/codec-error.ts';
import { layoutOf, type MessageLayout } from '#proto/mesos/layout.ts';
import type { Messages } from '#proto/mesos/types.ts';

/** A request that a Mesos master refuses for its form, with the very words. */
export class BadRequest extends Error {
  readonly status: number;

  constructor(status: number, body: string) {
    super(body);
    this.status = status;
  }
}

/** The encoding of a request's body: exactly one of the two media types. */
export function contentEncoding(request: IncomingMessage): Encoding {
  const type = request.headers['content-type'];
  if (type === undefined) throw new BadRequest(400, "Expecting 'Content-Type' to be present");
  if (type === mediaTypes.json) return 'json';
  if (type === mediaTypes.protobuf) return 'protobuf';
  throw new BadRequest(
    415,
    `Expecting 'Content-Type' of ${mediaTypes.json} or ${mediaTypes.protobuf}`,
  );
}

/** The encoding of the answer: JSON whenever it is allowed, whatever the weights say. */
export function acceptedEncoding(request: IncomingMessage): Encoding {
  const accept = request.headers.accept;
  if (accept === undefined) return 'json';
  const types = accept.split(',').map((part) => part.split(';')[0]?.trim());
  const allows = (type: string): boolean =>
    types.includes(type) || types.includes('*/*') || types.includes('application/*');
  if (allows(mediaTypes.json)) return 'json';
  if (allows(mediaTypes.protobuf)) return 'protobuf';
  throw new BadRequest(
    406,
    `Expecting 'Accept' to allow '${mediaTypes.protobuf}' or '${mediaTypes.json}'`,
  );
}

/** Decodes a call, or refuses it as a master does. */
export function decodeBody<Name extends keyof Messages>(
  name: Name,
  body: Uint8Array,
  encoding: Encoding,
): Messages[Name] {
  try {
    return decodeMessage(name, body, encoding);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    if (encoding === 'protobuf')
      throw new BadRequest(400, 'Failed to parse body into Call protobuf');
    throw new BadRequest(400, jsonProblem(layoutOf(name), body, error));
  }
}

function jsonProblem(layout: MessageLayout, body: Uint8Array, error: CodecError): string {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    return 'Failed to parse body into JSON: syntax error at line 1 near: ';
  }
  const failed = 'Failed to convert JSON into Call protobuf';
  if (!isObject(json)) return `${failed}: Expecting a JSON object`;
  const kind = givenKind(error.reason);
  if (kind !== undefined) {
    return `${failed}: Not expecting a JSON ${kind} for field '${error.field}'`;
  }
  const missing = missingFields(layout, json, '');
  if (missing.length > 0) return `${failed}: Missing required fields: ${missing.join(', ')}`;
  return `${failed}: ${error.message}`;
}

/** The kind of JSON that stood where a field wanted another, from the codec's words. */
function givenKind(reason: string): string | undefined {
  const given = /^must be .*, not (.*)$/.exec(reason)?.[1];
  if (given === undefined) return undefined;
  if (given.startsWith('"')) return 'string';
  if (given === 'true' || given === 'false') return 'boolean';
  if (given === 'a list') return 'array';
  return /^-?\d/.test(given) ? 'number' : 'object';
}

function missingFields(layout: MessageLayout, json: object, path: string): readonly string[] {
  return layout.fields.flatMap((field) => {
    const given: unknown = Reflect.get(json, field.name);
    const name = `${path}${field.name}`;
    if (given === undefined || given === null) return field.required ? [name] : [];
    if (field.kind !== 'message' || field.map) return [];
    if (!Array.isArray(given)) {
      return isObject(given) ? missingFields(field.message(), given, `${name}.`) : [];
    }
    return given.flatMap((item: unknown, n) =>
      isObject(item) ? missingFields(field.message(), item, `${name}[${n}].`) : [],
    );
  });
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
