/**
 * What the runtime does about an error: `retry` (the world was away), `reread` (lost a race, read
 * and decide again), `give-up` (needs a person).
 */
export type Remedy = 'retry' | 'reread' | 'give-up';

/** The base of every error that drey throws on purpose; `docs/errors.md` lists the codes. */
export abstract class DreyError extends Error {
  /** Stable, `DREY_…`. */
  abstract readonly code: string;
  abstract readonly remedy: Remedy;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A record changed since it was read, or a node exists (or is gone) against what was expected: read again and decide again. */
export class StaleRecordError extends DreyError {
  readonly code = 'DREY_STALE_RECORD';
  readonly remedy = 'reread';
  readonly path: string;

  constructor(path: string, options?: ErrorOptions) {
    super(`record ${path} changed since it was read`, options);
    this.path = path;
  }
}

/** ZooKeeper cannot be reached now; what was asked for was certainly not applied. */
export class StoreUnavailableError extends DreyError {
  readonly code = 'DREY_STORE_UNAVAILABLE';
  readonly remedy = 'retry';
  readonly applied = 'no';
}

/** The connection to ZooKeeper broke while a write was under way: read back before deciding anything. */
export class StoreOutcomeUnknownError extends DreyError {
  readonly code = 'DREY_STORE_OUTCOME_UNKNOWN';
  readonly remedy = 'retry';
  readonly applied = 'unknown';
}

/** ZooKeeper refused for a reason that repeating does not cure (size, access, quota). */
export class StoreRefusedError extends DreyError {
  readonly code = 'DREY_STORE_REFUSED';
  readonly remedy = 'give-up';
  readonly applied = 'no';
}

/** A stored record does not parse or was written by a newer drey: nothing is decided from it, nothing is lost. */
export class UnreadableRecordError extends DreyError {
  readonly code = 'DREY_UNREADABLE_RECORD';
  readonly remedy = 'give-up';
  readonly path: string;

  constructor(path: string, why: string, options?: ErrorOptions) {
    super(`record ${path} cannot be read: ${why}`, options);
    this.path = path;
  }
}

/** NATS is away; the message was certainly not sent. */
export class BusUnavailableError extends DreyError {
  readonly code = 'DREY_BUS_UNAVAILABLE';
  readonly remedy = 'retry';
}

/** Nobody listens on the subject of a request: it was certainly not handled. */
export class NoResponderError extends DreyError {
  readonly code = 'DREY_NO_RESPONDER';
  readonly remedy = 'retry';
  readonly subject: string;

  constructor(subject: string, options?: ErrorOptions) {
    super(`nobody answers on ${subject}`, options);
    this.subject = subject;
  }
}

/** A request was sent and no answer came in time: whether it was handled is unknown. */
export class RequestTimeoutError extends DreyError {
  readonly code = 'DREY_REQUEST_TIMEOUT';
  readonly remedy = 'retry';
  readonly subject: string;

  constructor(subject: string, timeoutMs: number, options?: ErrorOptions) {
    super(`no answer on ${subject} within ${timeoutMs} ms`, options);
    this.subject = subject;
  }
}

/** A message does not fit its schema; it is set aside with this reason. */
export class BadMessageError extends DreyError {
  readonly code = 'DREY_BAD_MESSAGE';
  readonly remedy = 'give-up';
}

/** A configuration key is missing or wrong; the message names the key and the remedy. */
export class ConfigurationError extends DreyError {
  readonly code = 'DREY_CONFIGURATION';
  readonly remedy = 'give-up';
  readonly key: string;

  constructor(key: string, why: string, options?: ErrorOptions) {
    super(`${key}: ${why}`, options);
    this.key = key;
  }
}
