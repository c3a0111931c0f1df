import type { TaskStatus } from '#proto/mesos/types.ts';
import { hexOf } from './uuid.ts';

/** One status that went out to a framework's stream, or would have had it been connected. */
export interface ToldUpdate {
  readonly at: number;
  readonly frameworkId: string;
  readonly taskId: string;
  readonly state: string;
  readonly source: string | undefined;
  readonly reason: string | undefined;
  readonly message: string | undefined;
  readonly uuid: string | undefined;
  readonly delivered: boolean;
}

/** What tests look at after the fact: every accepted launch, every update, how many offers. */
export interface History {
  /** Framework id, then task id, to the number of launches that were accepted. */
  readonly launches: Map<string, Map<string, number>>;
  /** The newest last; the oldest are dropped beyond the limit. */
  readonly updates: ToldUpdate[];
  readonly offers: { made: number; accepted: number; declined: number; rescinded: number };
}

const updateLimit = 200_000;

export function createHistory(): History {
  const offers = { made: 0, accepted: 0, declined: 0, rescinded: 0 };
  return { launches: new Map(), updates: [], offers };
}

export function noteLaunch(history: History, frameworkId: string, taskId: string): void {
  const launches = history.launches.get(frameworkId) ?? new Map<string, number>();
  history.launches.set(frameworkId, launches);
  launches.set(taskId, (launches.get(taskId) ?? 0) + 1);
}

export function noteUpdate(
  history: History,
  at: number,
  frameworkId: string,
  status: TaskStatus,
  delivered: boolean,
): void {
  history.updates.push({
    at,
    frameworkId,
    taskId: status.task_id.value,
    state: status.state,
    source: status.source,
    reason: status.reason,
    message: status.message,
    uuid: status.uuid === undefined ? undefined : hexOf(status.uuid),
    delivered,
  });
  if (history.updates.length > updateLimit) history.updates.splice(0, updateLimit / 10);
}
