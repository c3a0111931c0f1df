import type { Duplex } from 'node:stream';
import { frameRecord, RecordReader } from '#proto/mesos/record-io.ts';

/** A message between agent and master may carry a task of any size that a call may carry. */
const recordLimitBytes = 64 * 1024 * 1024;
/** An agent that does not read is cut off rather than kept in memory. */
const backlogLimitBytes = 256 * 1024 * 1024;

/** One end of the connection between an agent and its master: RecordIO of JSON over a socket. */
export class Link<Said, Heard> {
  readonly #socket: Duplex;

  constructor(
    socket: Duplex,
    handlers: { readonly heard: (message: Heard) => void; readonly closed: () => void },
  ) {
    this.#socket = socket;
    const reader = new RecordReader(recordLimitBytes);
    socket.on('data', (chunk: Uint8Array) => {
      try {
        for (const record of reader.push(chunk)) handlers.heard(parse(record) as Heard);
      } catch (error) {
        // What is no message ends the connection; the agent registers again.
        socket.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    });
    // Nothing more is known from an error than from the close that always follows it.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => handlers.closed());
  }

  say(message: Said): void {
    if (this.#socket.destroyed) return;
    this.#socket.write(frameRecord(serialize(message)));
    if (this.#socket.writableLength > backlogLimitBytes) this.#socket.destroy();
  }

  /** Ends the connection once what was said is on its way. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** JSON in which bytes are `{"base64": ...}`. */
export function serialize(value: unknown): Uint8Array {
  return Buffer.from(
    JSON.stringify(value, function (this: Record<string, unknown>, key, given) {
      const raw = this[key];
      return raw instanceof Uint8Array ? { base64: Buffer.from(raw).toString('base64') } : given;
    }),
  );
}

/** The value that `serialize` wrote. */
export function parse(bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  return JSON.parse(text, (_, value: unknown) => {
    if (typeof value !== 'object' || value === null) return value;
    const { base64 } = value as { readonly base64?: unknown };
    if (typeof base64 !== 'string') return value;
    return new Uint8Array(Buffer.from(base64, 'base64'));
  });
}
