import { nuid } from 'nats';
import type { Clock } from '../clock.ts';
import { BusUnavailableError, DreyError, type Remedy } from '../errors.ts';
import type { Log } from '../log.ts';
import type { BusMessage, Endpoint, Headers, ServiceOptions, Subscription } from './bus.ts';
import type { Wire } from './wire.ts';

/** Questions of one endpoint that are answered at one time. */
const maxUnderWay = 1000;
const nameRule = /^[A-Za-z0-9_-]+$/;
const versionRule = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/;
const encoder = new TextEncoder();

/** The status by which the service protocol tells kinds of errors apart. */
const statusOf: Readonly<Record<Remedy, string>> = {
  retry: '503',
  reread: '409',
  'give-up': '400',
};

interface Tally {
  requests: number;
  errors: number;
  lastError: string;
  nanos: number;
}

interface Ground {
  readonly wire: Wire;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Answers questions by the NATS service protocol (ADR-32). Own, because the client's counts the time
 * and errors of a handler only up to its first await.
 */
export function serve(ground: Ground, options: ServiceOptions): Subscription {
  const { wire } = ground;
  for (const name of [options.name, ...options.endpoints.map((endpoint) => endpoint.name)]) {
    if (!nameRule.test(name)) throw new RangeError(`"${name}": a service is named by A-Za-z0-9_-`);
  }
  if (!versionRule.test(options.version)) throw new RangeError(`"${options.version}": no version`);
  const identity = {
    name: options.name,
    id: nuid.next(),
    version: options.version,
    metadata: options.metadata,
  };
  const started = new Date(ground.clock.now()).toISOString();
  const endpoints = options.endpoints.map((endpoint) => open(ground, endpoint, options.queue));
  const words = {
    PING: () => ({ type: 'io.nats.micro.v1.ping_response', ...identity }),
    INFO: () => ({
      type: 'io.nats.micro.v1.info_response',
      ...identity,
      description: options.description,
      endpoints: endpoints.map(({ facts }) => facts),
    }),
    STATS: () => ({
      type: 'io.nats.micro.v1.stats_response',
      ...identity,
      started,
      endpoints: endpoints.map(({ facts, tally }) => ({ ...facts, ...shown(tally) })),
    }),
  };
  const about = Object.entries(words).flatMap(([word, answer]) =>
    [
      `$SRV.${word}`,
      `$SRV.${word}.${identity.name}`,
      `$SRV.${word}.${identity.name}.${identity.id}`,
    ].map((subject) =>
      wire.subscribe(subject, undefined, (message) => {
        if (message.reply !== undefined) wire.publish(message.reply, json(answer()));
      }),
    ),
  );
  return {
    drain: async () => {
      await Promise.all([...about, ...endpoints].map((subscription) => subscription.drain()));
    },
  };
}

function open(ground: Ground, endpoint: Endpoint, queue: string) {
  const { name, subject } = endpoint;
  const tally: Tally = { requests: 0, errors: 0, lastError: '', nanos: 0 };
  const underWay = new Set<Promise<void>>();
  const subscription = ground.wire.subscribe(subject, queue, (message) => {
    const busy = underWay.size >= maxUnderWay;
    const work = answer(ground, busy ? refuse : endpoint.handle, message, tally);
    underWay.add(work);
    void work.finally(() => underWay.delete(work));
  });
  return {
    facts: { name, subject, queue_group: queue },
    tally,
    drain: async () => {
      await subscription.drain();
      await Promise.all(underWay);
    },
  };
}

async function answer(
  ground: Ground,
  handle: Endpoint['handle'],
  message: BusMessage,
  tally: Tally,
): Promise<void> {
  const { wire, clock } = ground;
  const begin = clock.elapsed();
  try {
    const body = await handle(message);
    if (body !== undefined && message.reply !== undefined) wire.publish(message.reply, body);
  } catch (error) {
    tally.errors += 1;
    tally.lastError = error instanceof Error ? error.message : String(error);
    if (!(error instanceof DreyError)) {
      ground.log.error({ subject: message.subject, error }, 'a question could not be answered');
    }
    const { body, headers } = errorAnswer(error);
    if (message.reply !== undefined) wire.publish(message.reply, body, { headers });
  } finally {
    tally.requests += 1;
    tally.nanos += (clock.elapsed() - begin) * 1_000_000;
  }
}

async function refuse(): Promise<never> {
  throw new BusUnavailableError(`${maxUnderWay} questions are under way already: ask later`);
}

/** An error as the service protocol tells it: status and text in headers, code and text as JSON too. */
function errorAnswer(error: unknown): { body: Uint8Array; headers: Headers } {
  const known = error instanceof DreyError ? error : undefined;
  const code = known?.code ?? 'DREY_INTERNAL';
  const message = known?.message ?? 'an unexpected error, see the log';
  return {
    body: json({ status: 'error', code, message }),
    headers: {
      'Nats-Service-Error-Code': known === undefined ? '500' : statusOf[known.remedy],
      'Nats-Service-Error': `${code}: ${message}`,
    },
  };
}

function shown(tally: Tally) {
  return {
    num_requests: tally.requests,
    num_errors: tally.errors,
    last_error: tally.lastError,
    processing_time: Math.round(tally.nanos),
    average_processing_time: tally.requests === 0 ? 0 : Math.round(tally.nanos / tally.requests),
  };
}

function json(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}
