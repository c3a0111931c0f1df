import type { TaskStatus } from '#proto/mesos/types.ts';
import type { WorkerState } from '#proto/records.ts';

/** What Mesos said, reduced to what matters to a worker. */
export type Said =
  | 'staging'
  | 'starting'
  | 'running'
  | 'killing'
  /** The task has ended; no more will come of it. */
  | 'over'
  /** The agent cannot be reached; the task may live. */
  | 'unreachable'
  /** By reconciliation: Mesos does not know the task (TASK_UNKNOWN, TASK_LOST). */
  | 'unknown'
  /** About another launch than the live one: a duplicate id, an offer that was gone. */
  | 'stray';

/** What follows for the worker. */
export type Verdict =
  /** Only noted. */
  | 'note'
  | 'starting'
  | 'running'
  | 'unreachable'
  | 'end'
  /** Believed only when it is repeated and the master has settled. */
  | 'doubt'
  /** It must not run: KILL, repeated until it has ended. */
  | 'stop'
  /** It ended before and yet is there: KILL at once. */
  | 'kill';

/** What each thing that Mesos says does in each state: the one table. */
export const verdicts: Readonly<Record<WorkerState, Readonly<Record<Said, Verdict>>>> = {
  // Its ACCEPT was taken back as not sent; a task that is there all the same never runs on.
  wanted: {
    staging: 'stop',
    starting: 'stop',
    running: 'stop',
    killing: 'stop',
    over: 'end',
    unreachable: 'stop',
    unknown: 'note',
    stray: 'note',
  },
  launching: {
    staging: 'note',
    starting: 'starting',
    running: 'running',
    killing: 'note',
    over: 'end',
    unreachable: 'unreachable',
    unknown: 'end',
    stray: 'end',
  },
  starting: {
    staging: 'note',
    starting: 'note',
    running: 'running',
    killing: 'note',
    over: 'end',
    unreachable: 'unreachable',
    unknown: 'doubt',
    stray: 'note',
  },
  running: {
    staging: 'note',
    starting: 'note',
    running: 'note',
    killing: 'note',
    over: 'end',
    unreachable: 'unreachable',
    unknown: 'doubt',
    stray: 'note',
  },
  unreachable: {
    staging: 'note',
    starting: 'starting',
    running: 'running',
    killing: 'note',
    over: 'end',
    unreachable: 'note',
    unknown: 'doubt',
    stray: 'note',
  },
  stopping: {
    staging: 'note',
    starting: 'note',
    running: 'note',
    killing: 'note',
    over: 'end',
    unreachable: 'note',
    unknown: 'end',
    stray: 'note',
  },
  ended: {
    staging: 'kill',
    starting: 'kill',
    running: 'kill',
    killing: 'note',
    over: 'note',
    unreachable: 'note',
    unknown: 'note',
    stray: 'note',
  },
};

/** Reduces a status to what it says about the worker (FACTS: launching, reconciliation, duplicate ids). */
export function saidBy(status: TaskStatus): Said {
  switch (status.state) {
    case 'TASK_STAGING':
      return 'staging';
    case 'TASK_STARTING':
      return 'starting';
    case 'TASK_RUNNING':
      return 'running';
    case 'TASK_KILLING':
      return 'killing';
    case 'TASK_UNREACHABLE':
      return 'unreachable';
    case 'TASK_UNKNOWN':
      return 'unknown';
    case 'TASK_ERROR':
      return status.reason === 'REASON_TASK_INVALID' ? 'stray' : 'over';
    case 'TASK_LOST':
      return lost(status);
    case 'TASK_DROPPED':
      return status.reason === 'REASON_INVALID_OFFERS' ? 'stray' : 'over';
    case 'TASK_FINISHED':
    case 'TASK_FAILED':
    case 'TASK_KILLED':
    case 'TASK_GONE':
    case 'TASK_GONE_BY_OPERATOR':
      return 'over';
  }
}

/** Whether the task of such a status may be alive on an agent. */
export function mayLive(said: Said): boolean {
  return said === 'staging' || said === 'starting' || said === 'running';
}

function lost(status: TaskStatus): Said {
  if (status.reason === 'REASON_INVALID_OFFERS') return 'stray';
  return status.reason === 'REASON_RECONCILIATION' ? 'unknown' : 'over';
}
