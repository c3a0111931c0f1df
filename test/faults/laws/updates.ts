import type { WorkerRecord } from '#proto/records.ts';
import type { Version } from '../evidence/past.ts';
import type { Line } from '../evidence/transcript.ts';
import { type Evidence, type Law, taken, updates } from './law.ts';

const over = new Set([
  'TASK_FINISHED',
  'TASK_FAILED',
  'TASK_KILLED',
  'TASK_ERROR',
  'TASK_LOST',
  'TASK_DROPPED',
  'TASK_GONE',
  'TASK_GONE_BY_OPERATOR',
  'TASK_UNKNOWN',
]);

export const storedFirst: Law = {
  name: 'no update is acknowledged before it is stored',
  check: (evidence, found) => {
    const told = new Map(updates(evidence).map((line) => [line.uuid, line]));
    for (const { task = '', uuid = '', at } of taken(evidence, 'ACKNOWLEDGE')) {
      const update = told.get(uuid);
      const versions = evidence.past.upTo(task, at);
      // Of a task without a record nothing is owed.
      if (versions.at(-1)?.value === undefined) continue;
      found.looked();
      if (!versions.some((version) => holds(version, uuid, update))) {
        found.broken(
          `${update?.state ?? 'an update'} of ${task} is acknowledged at ${at}, not stored`,
        );
      }
    }
  },
};

/** The update itself, or a newer one: a late status does not replace what is stored. */
function holds({ value }: Version<WorkerRecord>, uuid: string, update: Line | undefined): boolean {
  const status = value?.status;
  if (status === undefined) return false;
  const stored = Buffer.from(status.uuid ?? '', 'base64').toString('hex');
  if (stored === uuid) return true;
  return update?.timestamp !== undefined && status.at >= update.timestamp * 1000;
}

export const acknowledgedAll: Law = {
  name: 'no update stays unacknowledged',
  check: (evidence, found) => {
    const acknowledged = new Set(taken(evidence, 'ACKNOWLEDGE').map(({ uuid }) => uuid));
    const told = new Map(updates(evidence).map((line) => [line.uuid, line]));
    for (const [uuid, { task, state, at }] of told) {
      if (uuid === undefined) continue;
      found.looked();
      if (!acknowledged.has(uuid)) found.broken(`${state} of ${task}, told at ${at}`);
    }
  },
};

export const killedUnwanted: Law = {
  name: 'no KILL of a worker still wanted',
  check: (evidence, found) => {
    for (const { task = '', at } of taken(evidence, 'KILL')) {
      const versions = evidence.past.upTo(task, at);
      if (versions.length === 0) continue;
      found.looked();
      const leaving = versions.some(({ value }) => value === undefined || leaves(value));
      if (!leaving)
        found.broken(`${task} is ${versions.at(-1)?.value?.state} at the KILL at ${at}`);
    }
  },
};

export const endedForAReason: Law = {
  name: 'no worker is given up without a word of Mesos, and no task ends unasked',
  check: (evidence, found) => {
    const ends = firstOf(updates(evidence).filter(({ state = '' }) => over.has(state)));
    const kills = firstOf(taken(evidence, 'KILL'));
    const launched = new Set(taken(evidence, 'ACCEPT').flatMap(({ tasks = [] }) => tasks));
    for (const [id, versions] of evidence.past.workers) {
      const ended = versions.find(({ value }) => value?.state === 'ended');
      const reached = versions.some(({ value }) => value?.state === 'running');
      if (ended === undefined || !launched.has(id)) continue;
      found.looked();
      const end = ends.get(id);
      if (end === undefined || end.at > ended.at) {
        found.broken(`${id} is recorded as ended at ${ended.at}, Mesos has not said so by then`);
      } else if (reached && (kills.get(id)?.at ?? Number.POSITIVE_INFINITY) > end.at) {
        found.broken(
          `${id} ran and ended at ${end.at} (${end.state}), and nobody had asked for it`,
        );
      }
    }
  },
};

function leaves({ state }: WorkerRecord): boolean {
  return state === 'stopping' || state === 'ended';
}

function firstOf(lines: readonly Line[]): ReadonlyMap<string, Line> {
  const first = new Map<string, Line>();
  for (const line of lines) if (!first.has(line.task ?? '')) first.set(line.task ?? '', line);
  return first;
}

/** Which updates are still owed an answer; what `acknowledgedAll` would find. */
export function unanswered(evidence: Pick<Evidence, 'transcript'>): number {
  const owed = new Set<string>();
  for (const { event, uuid } of evidence.transcript) {
    if (event === 'UPDATE' && uuid !== undefined) owed.add(uuid);
  }
  for (const { call, status, uuid } of evidence.transcript) {
    if (call === 'ACKNOWLEDGE' && status === 202 && uuid !== undefined) owed.delete(uuid);
  }
  return owed.size;
}
