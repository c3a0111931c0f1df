import { Exception } from 'node-zookeeper-client';
import {
  DreyError,
  StaleRecordError,
  StoreOutcomeUnknownError,
  StoreRefusedError,
  StoreUnavailableError,
} from '../errors.ts';
import {
  codeOf,
  doubtful,
  lostRaces,
  nameOf,
  passing,
  type ZooKeeperError,
  zooKeeperError,
} from './codes.ts';

/** What a call is about: whether it changes something decides what a lost answer means. */
export interface CallFacts {
  readonly kind: 'read' | 'write';
  /** `read`, `commit`, … */
  readonly verb: string;
  readonly path: string;
}

/** Whether a server spoke: the client itself makes the two codes that are left out. */
export function isAnswer(error: unknown): boolean {
  if (error instanceof DreyError) return true;
  const code = codeOf(error);
  if (code === undefined) return false;
  return code !== Exception.CONNECTION_LOSS && code !== Exception.SESSION_EXPIRED;
}

/** The error of the house for what a call came to. */
export function failureOf(error: unknown, facts: CallFacts): DreyError {
  if (error instanceof DreyError) return error;
  const code = codeOf(error);
  const options = { cause: error };
  const about = `${facts.verb} ${facts.path}`;
  if (code === undefined) {
    // The package checks arguments by throwing before it sends anything.
    const why = error instanceof Error ? error.message : String(error);
    return new StoreRefusedError(`${about}: ${why}`, options);
  }
  if (lostRaces.has(code)) return new StaleRecordError(facts.path, options);
  if (doubtful.has(code)) return lostAnswer(facts, nameOf(code), options);
  return passing.has(code)
    ? new StoreUnavailableError(`${about}: ${nameOf(code)}, nothing was applied`, options)
    : new StoreRefusedError(`${about}: ZooKeeper refused (${nameOf(code)})`, options);
}

/** A call that was sent and whose answer will not come. */
export function lostAnswer(facts: CallFacts, why: string, options?: ErrorOptions): DreyError {
  const sentence = `${facts.verb} ${facts.path}: no answer (${why})`;
  return facts.kind === 'read'
    ? new StoreUnavailableError(sentence, options)
    : new StoreOutcomeUnknownError(`${sentence}; it may have been applied`, options);
}

/** The step that made a transaction fail: those before it are reported as fine, those after it as not tried. */
export function culpritOf(
  results: unknown,
): { readonly index: number; readonly error: ZooKeeperError } | undefined {
  if (!Array.isArray(results)) return undefined;
  const codes = results.map((result: { readonly err?: number }) => result.err ?? 0);
  const index = codes.findIndex((code) => code !== 0);
  const code = codes[index];
  return code === undefined ? undefined : { index, error: zooKeeperError(code) };
}
