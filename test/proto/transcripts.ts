import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Encoding } from '#proto/mesos/codec.ts';
import type { Messages } from '#proto/mesos/types.ts';

/** One line of a transcript; which fields it has depends on its kind. */
export interface Line {
  readonly seq: number;
  readonly kind: string;
  readonly conn?: string;
  readonly stream?: string;
  readonly path?: string;
  readonly to?: string;
  readonly status?: number;
  readonly streaming?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly body_text?: string;
  readonly body_b64?: string;
  readonly data_b64?: string;
  readonly decoded?: unknown;
}

/** One scenario of `test/recordings`. */
export interface Transcript {
  readonly name: string;
  readonly lines: readonly Line[];
}

/** A Mesos message of a recording, with what was said about it. */
export interface RecordedMessage {
  /** Scenario and line, for failures. */
  readonly where: string;
  readonly name: keyof Messages;
  readonly encoding: Encoding;
  readonly bytes: Uint8Array;
  /** The line it stands in. */
  readonly line: Line;
  /** What Mesos answered, for a call. */
  readonly answer: Line | undefined;
}

const folder = join(import.meta.dirname, '..', 'recordings');

/** All scenarios, in the order of their names. */
export function readTranscripts(): readonly Transcript[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
    .map((name) => ({ name, lines: readLines(join(folder, name, 'transcript.jsonl')) }));
}

/** Every event, call and response of the v1 API that was recorded with its body. */
export function readMessages(): readonly RecordedMessage[] {
  return readTranscripts().flatMap(({ name, lines }) => {
    const asked = new Map<string, Line>();
    return lines.flatMap((line, at) => {
      if (line.kind === 'request') asked.set(line.conn ?? '', line);
      const type = typeOf(line, asked.get(line.conn ?? ''));
      const bytes = bodyOf(line);
      if (type === undefined || bytes === undefined) return [];
      const answer =
        line.kind === 'request'
          ? lines.slice(at).find((one) => one.kind === 'response' && one.conn === line.conn)
          : undefined;
      const where = `${name}, line ${line.seq}`;
      return [{ where, name: type, encoding: encodingOf(line), bytes, line, answer }];
    });
  });
}

function readLines(file: string): readonly Line[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Line);
}

function typeOf(line: Line, request: Line | undefined): keyof Messages | undefined {
  if (line.kind === 'event') return line.stream === undefined ? 'MasterEvent' : 'SchedulerEvent';
  const api = apiOf(request);
  if (line.kind === 'request') {
    if (api === 'operator') return toAgent(line) ? 'AgentCall' : 'MasterCall';
    return api === 'scheduler' ? 'SchedulerCall' : undefined;
  }
  const answered = line.kind === 'response' && line.status === 200 && line.streaming !== true;
  if (!answered || api !== 'operator') return undefined;
  return toAgent(request) ? 'AgentResponse' : 'MasterResponse';
}

function apiOf(request: Line | undefined): 'scheduler' | 'operator' | undefined {
  if (request?.path?.endsWith('/api/v1/scheduler')) return 'scheduler';
  return request?.path === '/api/v1' ? 'operator' : undefined;
}

function toAgent(line: Line | undefined): boolean {
  return line?.to?.endsWith(':5051') ?? false;
}

function encodingOf(line: Line): Encoding {
  const type = line.headers?.['Content-Type'];
  if (type !== undefined) return type === 'application/x-protobuf' ? 'protobuf' : 'json';
  return line.body_b64 === undefined ? 'json' : 'protobuf';
}

function bodyOf(line: Line): Uint8Array | undefined {
  if (line.body_b64 !== undefined) return Buffer.from(line.body_b64, 'base64');
  if (line.body !== undefined) return Buffer.from(JSON.stringify(line.body));
  return line.body_text === undefined ? undefined : Buffer.from(line.body_text);
}
