import { type DestinationStream, type Logger, pino } from 'pino';
import { hidden, isSensitive } from './secrets.ts';

/** Writes one line: facts as fields, then a plain sentence. */
type Write = (facts: object, sentence: string) => void;

/** Where a part of drey says what it does. */
export interface Log {
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
  /** A log whose lines all carry these facts. */
  child(facts: Record<string, unknown>): Log;
}

export interface LogOptions {
  readonly level: string;
  readonly name: string;
  /** Where lines go; standard output unless said. */
  readonly destination?: DestinationStream;
}

/** One JSON object per line; the values of sensitive keys are hidden at any depth. */
export function createLog(options: LogOptions): Log {
  const settings = {
    level: options.level,
    base: { name: options.name },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: {
      level: (label: string) => ({ level: label }),
      log: factsWithoutSecrets,
    },
  };
  const { destination } = options;
  return logOf(destination === undefined ? pino(settings) : pino(settings, destination));
}

/** pino does not pass what a child carries through its formatters. */
function logOf(logger: Logger): Log {
  return {
    debug: (facts, sentence) => logger.debug(facts, sentence),
    info: (facts, sentence) => logger.info(facts, sentence),
    warn: (facts, sentence) => logger.warn(facts, sentence),
    error: (facts, sentence) => logger.error(facts, sentence),
    child: (facts) => logOf(logger.child(factsWithoutSecrets(facts))),
  };
}

/** A log that says nothing. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};

function factsWithoutSecrets(facts: object): Record<string, unknown> {
  const entries = Object.entries(facts);
  return Object.fromEntries(
    entries.map(([key, value]) => [key, isSensitive(key) ? hidden : withoutSecrets(value)]),
  );
}

/** Deeper than this nothing is shown: facts of a log line are small. */
const maxDepth = 8;

/** A copy without the values of sensitive keys; errors become their name, code, message, stack and cause. */
function withoutSecrets(value: unknown, depth = 0): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= maxDepth) return '[deeper]';
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, depth + 1));
  if (value instanceof Uint8Array) return `[${value.byteLength} bytes]`;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Map) return withoutSecrets(Object.fromEntries(value), depth);
  if (value instanceof Set) return withoutSecrets([...value], depth);
  const copy: Record<string, unknown> = value instanceof Error ? errorFacts(value) : {};
  for (const [key, item] of Object.entries(value)) copy[key] = item;
  for (const [key, item] of Object.entries(copy)) {
    copy[key] = isSensitive(key) ? hidden : withoutSecrets(item, depth + 1);
  }
  return copy;
}

function errorFacts(error: Error): Record<string, unknown> {
  const facts: Record<string, unknown> = { type: error.name, message: error.message };
  if (error.stack !== undefined) facts.stack = error.stack;
  if (error.cause !== undefined) facts.cause = error.cause;
  return facts;
}
