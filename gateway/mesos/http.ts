import { buildConnector, Client, type Dispatcher } from 'undici';
import { encodeCall, mediaTypes } from '#proto/mesos/codec.ts';
import { RecordReader } from '#proto/mesos/record-io.ts';
import type { SchedulerCall } from '#proto/mesos/types.ts';
import type { CallOutcome } from '#proto/messages.ts';
import type { MasterFinder } from './detect.ts';
import { Lane } from './lane.ts';
import { type Mesos, type Stream, type StreamListener, SubscribeError } from './mesos.ts';

const path = '/api/v1/scheduler';
/** A leader that is just changing may send from one follower to the next. */
const mostRedirects = 5;
/** Far above any event that was seen: 5,000 agents' offers are some 3 MB. */
const recordLimitBytes = 256 * 2 ** 20;
const connectTimeoutMs = 5000;
const answerTimeoutMs = 10_000;
/** Silence after which a stream is given up here; the gateway's own watchdog is quicker. */
const silenceMs = 120_000;

export interface HttpMesosOptions {
  readonly masters: MasterFinder;
  /** Basic authentication, sent with every call. */
  readonly credential?: { readonly principal: string; readonly secret: string } | undefined;
}

const streamIsOver: CallOutcome = {
  outcome: 'refused',
  message: 'the subscription of this call has ended',
};
/** Thrown before anything is sent. */
const leadsNoMore = new Error('this gateway leads no more; nothing was sent');

/** Where the calls of the present stream go. */
interface Target {
  readonly streamId: string;
  readonly listener: StreamListener;
  readonly path: string;
  readonly ordered: Lane;
  readonly others: readonly Lane[];
}

/** A Mesos master over its v1 scheduler API: protobuf both ways, RecordIO, redirects followed by hand. */
export class HttpMesos implements Mesos {
  readonly #masters: MasterFinder;
  readonly #headers: Readonly<Record<string, string>>;
  #target: Target | undefined;

  constructor(options: HttpMesosOptions) {
    this.#masters = options.masters;
    const media = { 'content-type': mediaTypes.protobuf, accept: mediaTypes.protobuf };
    const { credential } = options;
    this.#headers =
      credential === undefined
        ? media
        : { ...media, authorization: basic(credential.principal, credential.secret) };
  }

  async subscribe(call: SchedulerCall, listener: StreamListener): Promise<Stream> {
    const origins = await this.#masters.find();
    if (origins.length === 0) throw new SubscribeError('no Mesos master leads now');
    let failure: SubscribeError | undefined;
    const body = encodeCall(call, 'protobuf');
    for (const origin of origins) {
      try {
        return await this.#subscribeAt(new URL(path, origin), body, listener);
      } catch (error) {
        if (!(error instanceof SubscribeError)) throw error;
        failure = error;
      }
    }
    throw failure ?? new SubscribeError('no Mesos master answered');
  }

  async #subscribeAt(url: URL, body: Uint8Array, listener: StreamListener): Promise<Stream> {
    let at = url;
    for (let redirects = 0; redirects <= mostRedirects; redirects++) {
      const client = new Client(at.origin, {
        connect: connectorFor(listener),
        headersTimeout: answerTimeoutMs,
        bodyTimeout: silenceMs,
      });
      try {
        const response = await post(client, at, this.#headers, body);
        const location = response.headers.location;
        if (response.statusCode === 307 && typeof location === 'string') {
          at = new URL(location, at);
          client.destroy().catch(ignoreClosed);
          continue;
        }
        const streamId = await streamIdOf(response, at);
        this.#aim(streamId, at, listener);
        return this.#listen(streamId, client, response, listener);
      } catch (error) {
        client.destroy().catch(ignoreClosed);
        throw error;
      }
    }
    throw new SubscribeError(`${url.origin} redirected more than ${mostRedirects} times`);
  }

  #listen(
    streamId: string,
    client: Client,
    response: Dispatcher.ResponseData,
    listener: StreamListener,
  ): Stream {
    let open = true;
    const end = (error?: Error): void => {
      if (!open) return;
      open = false;
      this.#leave(streamId);
      client.destroy().catch(ignoreClosed);
      listener.closed(error);
    };
    const read = async (): Promise<void> => {
      const reader = new RecordReader(recordLimitBytes);
      for await (const chunk of response.body) {
        for (const record of reader.push(chunk as Uint8Array)) {
          if (open) listener.event(record);
        }
      }
    };
    read().then(
      () => end(),
      (error: unknown) => end(error instanceof Error ? error : new Error(String(error))),
    );
    const close = (): void => {
      open = false;
      this.#leave(streamId);
      client.destroy().catch(ignoreClosed);
    };
    return { streamId, close };
  }

  #aim(streamId: string, at: URL, listener: StreamListener): void {
    const options = {
      connect: connectorFor(listener),
      headersTimeout: answerTimeoutMs,
      bodyTimeout: answerTimeoutMs,
    };
    // Lanes of its own: a call that hangs at the former master must not hold back those to this one.
    const lane = (): Lane => new Lane(at.origin, options);
    this.#target = {
      streamId,
      listener,
      path: at.pathname,
      ordered: lane(),
      others: [lane(), lane()],
    };
  }

  /** Takes no more calls for a stream; those under way are waited for by whoever made them. */
  #leave(streamId: string): void {
    const target = this.#target;
    if (target?.streamId !== streamId) return;
    this.#target = undefined;
    for (const lane of [target.ordered, ...target.others]) lane.close().catch(ignoreClosed);
  }

  async call(streamId: string, call: Uint8Array, ordered: boolean): Promise<CallOutcome> {
    const target = this.#target;
    if (target?.streamId !== streamId) return streamIsOver;
    const free = (one: Lane, other: Lane) => (other.waiting < one.waiting ? other : one);
    const lane = ordered ? target.ordered : target.others.reduce(free);
    // Asked again when its turn comes: what waited behind the end of the stream is not sent.
    return lane.run((client) => this.#send(target, client, call));
  }

  async #send(target: Target, client: Client, call: Uint8Array): Promise<CallOutcome> {
    if (this.#target !== target) return streamIsOver;
    if (!target.listener.wanted) return outcomeOfError(leadsNoMore);
    try {
      const response = await client.request({
        method: 'POST',
        path: target.path,
        headers: { ...this.#headers, 'mesos-stream-id': target.streamId },
        body: call,
      });
      return outcomeOf(response.statusCode, await response.body.text());
    } catch (error) {
      return outcomeOfError(error);
    }
  }

  /** Ends what calls were made over; streams are closed by who opened them. */
  async close(): Promise<void> {
    if (this.#target !== undefined) this.#leave(this.#target.streamId);
    await this.#masters.close();
  }
}

/** Connecting may outlast the lease: it is asked once the connection stands, right before the call is written. */
function connectorFor(listener: StreamListener): buildConnector.connector {
  const connect = buildConnector({ timeout: connectTimeoutMs });
  return (options, callback) =>
    connect(options, (...connected) => {
      const [error, socket] = connected;
      if (error !== null || listener.wanted) {
        callback(...connected);
        return;
      }
      socket.destroy();
      callback(leadsNoMore, null);
    });
}

async function post(
  client: Client,
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
): Promise<Dispatcher.ResponseData> {
  try {
    return await client.request({ method: 'POST', path: url.pathname, headers, body });
  } catch (cause) {
    if (cause === leadsNoMore) throw new SubscribeError(leadsNoMore.message, {}, { cause });
    throw new SubscribeError(`${url.origin} does not answer: ${why(cause)}`, {}, { cause });
  }
}

/** @throws SubscribeError unless the answer is a stream of events. */
async function streamIdOf(response: Dispatcher.ResponseData, url: URL): Promise<string> {
  const streamId = response.headers['mesos-stream-id'];
  const isStream = response.headers['content-type'] === mediaTypes.protobuf;
  if (response.statusCode === 200 && typeof streamId === 'string' && isStream) return streamId;
  const status = response.statusCode;
  if (status === 200) {
    throw new SubscribeError(`${url.origin} answers, but not as a Mesos master does`, { status });
  }
  const body = (await response.body.text()).trim().slice(0, 1000);
  const retryAfter = Number(response.headers['retry-after']);
  const retryAfterMs = retryAfter > 0 ? retryAfter * 1000 : undefined;
  const text = body === '' ? '' : `: ${body}`;
  const message = `${url.origin} refused SUBSCRIBE with ${status}${text}`;
  throw new SubscribeError(message, { status, body, retryAfterMs });
}

/** A 5xx may come from a proxy that passed the call on; 3xx and 4xx are said before anything is done. */
function outcomeOf(status: number, text: string): CallOutcome {
  if (status === 202 || status === 200) return { outcome: 'sent', status };
  const message = text.trim().slice(0, 1000) || `HTTP ${status}`;
  return { outcome: status >= 500 ? 'unknown' : 'refused', status, message };
}

/** What happens before a connection stands: nothing was sent. */
const beforeSending: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

function isLookup(code: unknown): boolean {
  return code === 'ENOTFOUND' || code === 'EAI_AGAIN';
}

function outcomeOfError(error: unknown): CallOutcome {
  if (error === leadsNoMore) return { outcome: 'refused', message: leadsNoMore.message };
  const { code, syscall } = (error ?? {}) as {
    readonly code?: unknown;
    readonly syscall?: unknown;
  };
  // The same errno may come from a connection that stood and carried the call.
  const connecting = code === 'UND_ERR_CONNECT_TIMEOUT' || syscall === 'connect' || isLookup(code);
  const before = typeof code === 'string' && beforeSending.has(code) && connecting;
  return { outcome: before ? 'refused' : 'unknown', message: why(error) };
}

function why(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as { readonly code?: unknown }).code;
  return error.message || (typeof code === 'string' ? code : error.name);
}

function basic(principal: string, secret: string): string {
  return `Basic ${Buffer.from(`${principal}:${secret}`).toString('base64')}`;
}

/** A client that is already closed cannot be closed again, and that is what was wanted. */
function ignoreClosed(): void {}
