import type { SchedulerCall } from '#proto/mesos/types.ts';
import type { RecordPaths } from '#proto/records.ts';
import type { ClusterSettings } from '#proto/spec.ts';
import type { Subjects } from '#proto/subjects.ts';
import type { Bus } from '#runtime/bus/bus.ts';
import type { Clock } from '#runtime/clock.ts';
import type { Log } from '#runtime/log.ts';
import type { Store } from '#runtime/store/store.ts';
import type { Mesos } from '../mesos/mesos.ts';

/** Everything a gateway needs from the world; a simulation hands in its own. */
export interface GatewaySurroundings {
  readonly store: Store;
  readonly bus: Bus;
  readonly clock: Clock;
  /** In [0, 1). */
  random(): number;
  readonly mesos: Mesos;
  readonly subjects: Subjects;
  readonly paths: RecordPaths;
  /** This gateway's name, alone its own among all candidates. */
  readonly id: string;
  /** As they are stored: without what may be secret. */
  readonly settings: ClusterSettings;
  /** Puts what was left out of the settings into an ACCEPT; a sentence where it cannot. */
  readonly complete?: (call: SchedulerCall) => SchedulerCall | string;
  readonly log: Log;
  readonly metrics: GatewayMetrics;
  /**
   * A gateway that leads from its start gives up when no master takes it for so long, at once where
   * waiting cannot help. Undefined: it tries for ever, as one does that took over later.
   */
  readonly giveUpAfterMs?: number | undefined;
  /** It belongs to a cluster that was seen alive: one that has ended meanwhile is not begun anew. */
  readonly joins?: boolean;
}

/** What is counted; the levels are in `GatewayStatus`. */
export interface GatewayMetrics {
  /** An event came from Mesos. */
  event(type: string): void;
  /** An event reached nobody. */
  missed(type: string): void;
  /** What became of a call. */
  call(type: string, outcome: 'sent' | 'refused' | 'unknown'): void;
}

/** Counts nothing. */
export const silentMetrics: GatewayMetrics = { event: () => {}, missed: () => {}, call: () => {} };

/** So many random bytes as hexadecimal digits. */
export function randomHex(random: () => number, bytes: number): string {
  let text = '';
  for (let at = 0; at < bytes; at++) {
    text += Math.floor(random() * 256)
      .toString(16)
      .padStart(2, '0');
  }
  return text;
}

/** A random UUID (RFC 9562, version 4). */
export function randomUuid(random: () => number): string {
  const hex = randomHex(random, 16);
  const variant = '89ab'.charAt(Number.parseInt(hex.charAt(16), 16) % 4);
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20),
  ];
  return parts.join('-');
}
