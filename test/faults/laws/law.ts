import type { DecisionMessage } from '#proto/messages.ts';
import type { RecordPaths } from '#proto/records.ts';
import type { Past } from '../evidence/past.ts';
import type { Line } from '../evidence/transcript.ts';
import type { Commit } from '../evidence/zookeeper-log.ts';

/** What is left of a run: what Mesos was told and said, what was stored, what was decided. */
export interface Evidence {
  readonly paths: RecordPaths;
  /** In the order in which the master handled it. */
  readonly transcript: readonly Line[];
  /** In the order of transactions. */
  readonly commits: readonly Commit[];
  readonly past: Past;
  /** As many as the log has kept. */
  readonly decisions: readonly DecisionMessage[];
  readonly end: End;
}

/** How it stands after the last fault, once nothing moves any more. */
export interface End {
  /** How many workers were asked for last. */
  readonly target: number;
  /** Tasks that Mesos does not count as ended, of every framework. */
  readonly tasks: readonly {
    readonly id: string;
    readonly state: string;
    readonly agentId: string;
  }[];
  /** The master's own count of accepted launches by task id. */
  readonly launches: Readonly<Record<string, number>>;
}

/** One law: what breaks it, and how many things it has looked at. */
export interface Law {
  readonly name: string;
  check(evidence: Evidence, found: Found): void;
}

/** What a law reports while it looks. */
export interface Found {
  looked(): void;
  broken(what: string): void;
}

/** Calls of that type that a master has taken. */
export function taken(evidence: Evidence, type: string): readonly Line[] {
  const status = type === 'SUBSCRIBE' ? 200 : 202;
  return evidence.transcript.filter((line) => line.call === type && line.status === status);
}

/** Statuses that were sent to a scheduler. */
export function updates(evidence: Evidence): readonly Line[] {
  return evidence.transcript.filter((line) => line.event === 'UPDATE');
}
