import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Encoding, encodeEvent, mediaTypes } from '#proto/mesos/codec.ts';
import { frameRecord } from '#proto/mesos/record-io.ts';
import type { SchedulerEvent } from '#proto/mesos/types.ts';
import { acceptedEncoding, contentEncoding, decodeBody } from './media.ts';
import type { EventStream, RunningMaster } from './running-master.ts';

/** A scheduler that does not read is cut off rather than kept in memory. */
const backlogLimitBytes = 256 * 1024 * 1024;

/** POST on the scheduler path, with its whole body. */
export function schedulerCall(
  master: RunningMaster,
  request: IncomingMessage,
  body: Uint8Array,
  response: ServerResponse,
): void {
  const call = decodeBody('SchedulerCall', body, contentEncoding(request));
  const encoding = acceptedEncoding(request);
  const header = request.headers['mesos-stream-id'];
  const streamId = Array.isArray(header) ? header[0] : header;
  if (call.type !== 'SUBSCRIBE') {
    answer(response, master.call(call, streamId));
    return;
  }
  const stream = new ResponseStream(response, encoding);
  const given = master.call(call, streamId, stream);
  if (given.status !== 200) answer(response, given);
  else response.on('close', () => master.streamClosed(stream.id));
}

/** Sends a plain answer; a reason comes as text. */
export function answer(
  response: ServerResponse,
  given: { readonly status: number; readonly body: string },
): void {
  const bytes = Buffer.from(given.body);
  const type = bytes.length === 0 ? {} : { 'Content-Type': 'text/plain; charset=utf-8' };
  response.writeHead(given.status, { ...type, 'Content-Length': bytes.length });
  response.end(bytes);
}

class ResponseStream implements EventStream {
  readonly #response: ServerResponse;
  readonly #encoding: Encoding;
  #id = '';

  constructor(response: ServerResponse, encoding: Encoding) {
    this.#response = response;
    this.#encoding = encoding;
  }

  get id(): string {
    return this.#id;
  }

  open(streamId: string): void {
    this.#id = streamId;
    this.#response.writeHead(200, {
      'Mesos-Stream-Id': streamId,
      'Content-Type': mediaTypes[this.#encoding],
      'Transfer-Encoding': 'chunked',
    });
    this.#response.flushHeaders();
  }

  event(event: SchedulerEvent): void {
    if (this.#response.destroyed) return;
    this.#response.write(frameRecord(encodeEvent(event, this.#encoding)));
    if (this.#response.writableLength > backlogLimitBytes) this.#response.destroy();
  }

  end(): void {
    this.#response.end();
  }
}
