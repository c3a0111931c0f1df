import { z } from 'zod';
import { BusUnavailableError, ConfigurationError, NoResponderError } from '../errors.ts';
import type { StreamOptions } from './bus.ts';
import type { Requests } from './requests.ts';

const timeoutMs = 5000;
const nanosPerMs = 1_000_000;
/** The server remembers message ids for so long to drop doubled ones. */
const duplicateWindowMs = 120_000;

const failure = z.looseObject({
  error: z.looseObject({
    code: z.number(),
    err_code: z.number().optional(),
    description: z.string().optional(),
  }),
});

const settings = z.record(z.string(), z.unknown());
const streamInfo = z.looseObject({
  config: settings,
  created: z.string(),
  state: z.looseObject({ first_seq: z.number(), last_seq: z.number() }),
});
/** A stream as the server describes it. */
export type StreamInfo = z.infer<typeof streamInfo>;

const consumerInfo = z.looseObject({ name: z.string(), config: settings });

/** The server's management of streams and consumers, in what nats-server 2.9 already knows. */
export class JetStream {
  readonly #requests: Requests;
  /** What this process has asked for: made again when a server comes back without its storage. */
  readonly #asked = new Map<string, StreamOptions>();

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /** Creates or mends the stream, reads it back and compares. @throws ConfigurationError where the server has it otherwise. */
  async ensureStream(options: StreamOptions): Promise<void> {
    this.#asked.set(options.name, options);
    const wanted = streamConfig(options);
    const present = await this.#findStream(options.name);
    if (present === undefined) {
      await this.#call(`STREAM.CREATE.${options.name}`, wanted, streamInfo);
    } else if (differences(wanted, present.config).length > 0) {
      const mended = { ...present.config, ...wanted };
      await this.#call(`STREAM.UPDATE.${options.name}`, mended, streamInfo);
    }
    const stored = await this.#call(`STREAM.INFO.${options.name}`, {}, streamInfo);
    demandEqual(`stream ${options.name}`, wanted, stored.config);
  }

  /** The stream; one that this process has asked for before is made anew where it is gone. */
  async stream(name: string): Promise<StreamInfo> {
    const asked = this.#asked.get(name);
    if (asked !== undefined && (await this.#findStream(name)) === undefined) {
      await this.ensureStream(asked);
    }
    return this.#call(`STREAM.INFO.${name}`, {}, streamInfo);
  }

  /** A consumer that outlives connections; shared by all who name it. */
  async ensureDurable(
    stream: string,
    durable: string,
    options: { readonly maxPending: number; readonly ackWaitMs: number },
  ): Promise<void> {
    const config = {
      durable_name: durable,
      ack_policy: 'explicit',
      deliver_policy: 'all',
      replay_policy: 'instant',
      ack_wait: options.ackWaitMs * nanosPerMs,
      max_ack_pending: options.maxPending,
      max_deliver: -1,
    };
    const request = { stream_name: stream, config };
    const path = `CONSUMER.DURABLE.CREATE.${stream}.${durable}`;
    const stored = await this.#call(path, request, consumerInfo);
    demandEqual(`consumer ${durable} of stream ${stream}`, config, stored.config);
  }

  /** A consumer without acknowledgement that vanishes when nobody asks it any more. Resolves to its name. */
  async createReader(stream: string, filter: string, startSequence: number): Promise<string> {
    const config = {
      ack_policy: 'none',
      deliver_policy: 'by_start_sequence',
      opt_start_seq: startSequence,
      filter_subject: filter,
      replay_policy: 'instant',
      inactive_threshold: 60_000 * nanosPerMs,
    };
    const request = { stream_name: stream, config };
    const stored = await this.#call(`CONSUMER.CREATE.${stream}`, request, consumerInfo);
    return stored.name;
  }

  async #findStream(name: string): Promise<StreamInfo | undefined> {
    const answer = await this.#ask(`STREAM.INFO.${name}`, {});
    const failed = failure.safeParse(answer);
    if (failed.success && failed.data.error.code === 404) return undefined;
    return accept(`STREAM.INFO.${name}`, answer, streamInfo);
  }

  async #call<Schema extends z.ZodType>(path: string, body: object, schema: Schema) {
    return accept(path, await this.#ask(path, body), schema);
  }

  async #ask(path: string, body: object): Promise<unknown> {
    const data = new TextEncoder().encode(JSON.stringify(body));
    try {
      const answer = await this.#requests.send(`$JS.API.${path}`, data, { timeoutMs });
      return JSON.parse(new TextDecoder().decode(answer.data));
    } catch (error) {
      if (!(error instanceof NoResponderError)) throw error;
      // Right after a restart JetStream is not up yet; else it is not enabled.
      throw new BusUnavailableError('JetStream does not answer: is it enabled on this NATS?', {
        cause: error,
      });
    }
  }
}

function accept<Schema extends z.ZodType>(
  path: string,
  answer: unknown,
  schema: Schema,
): z.infer<Schema> {
  const failed = failure.safeParse(answer);
  if (!failed.success) return schema.parse(answer);
  const { code, err_code, description } = failed.data.error;
  const text = `${description ?? 'refused'} (${err_code ?? code})`;
  // 503: recovering, or without a leader.
  if (code === 503 || code === 404) throw new BusUnavailableError(`JetStream ${path}: ${text}`);
  throw new ConfigurationError(`JetStream ${path}`, text);
}

function streamConfig(options: StreamOptions) {
  return {
    name: options.name,
    subjects: options.subjects,
    retention: options.retention,
    storage: 'file',
    num_replicas: options.replicas ?? 1,
    max_bytes: options.maxBytes,
    max_age: options.maxAgeMs * nanosPerMs,
    duplicate_window:
      Math.min(duplicateWindowMs, options.maxAgeMs || duplicateWindowMs) * nanosPerMs,
    // What somebody waits for is refused rather than lost unseen; a log forgets its oldest.
    discard: options.retention === 'workqueue' ? 'new' : 'old',
  };
}

/** Names of the settings that the server has otherwise: an older server ignores what it does not know. */
function differences(
  wanted: Readonly<Record<string, unknown>>,
  stored: Readonly<Record<string, unknown>>,
): string[] {
  return Object.entries(wanted)
    .filter(([key, value]) => JSON.stringify(stored[key]) !== JSON.stringify(value))
    .map(([key, value]) => {
      return `${key} is ${JSON.stringify(stored[key])}, wanted ${JSON.stringify(value)}`;
    });
}

function demandEqual(
  what: string,
  wanted: Readonly<Record<string, unknown>>,
  stored: Readonly<Record<string, unknown>>,
): void {
  const differing = differences(wanted, stored);
  if (differing.length > 0) throw new ConfigurationError(what, differing.join('; '));
}
