import type { TaskStatus } from '#proto/mesos/types.ts';
import type { FrameworkRecord, WorkerRecord } from '#proto/records.ts';
import type { ClusterSettings } from '#proto/spec.ts';
import type { Moment } from '#runtime/function.ts';
import { ended, killed, patched } from '../../shared/worker.ts';
import { mayLive, saidBy, type Verdict, verdicts } from './table.ts';

/** What stands around a status: the epoch it came in, and how far the master is to be trusted. */
export interface Around {
  readonly epoch: number;
  /** The position of the event in its epoch. */
  readonly sequence: number | undefined;
  readonly settings: ClusterSettings;
  /** With what this batch has held. */
  readonly framework: Pick<FrameworkRecord, 'state' | 'held' | 'masterChangedAt'>;
  /** The uuid as records carry it. */
  readonly uuid: string | undefined;
  readonly moment: Moment;
}

/** A worker after a status. */
export interface Applied {
  readonly worker: WorkerRecord;
  readonly verdict: Verdict;
  /** It ended because reconciliation does not know it, without any word of the task itself. */
  readonly vanished: boolean;
}

/** A doubted worker is asked about again after so long. */
const doubtAgainMs = 30_000;

/** The worker's next state: see the table for what follows from what. */
export function applied(worker: WorkerRecord, status: TaskStatus, around: Around): Applied {
  if (isOvertaken(worker, around)) {
    const next = patched(worker, { why: worker.why }, around.moment);
    return { worker: next, verdict: 'note', vanished: false };
  }
  const said = saidBy(status);
  const verdict = verdicts[worker.state][said];
  if (verdict === 'doubt' && isRepeat(worker, around)) {
    const next = patched(worker, { why: worker.why }, around.moment);
    return { worker: next, verdict: 'note', vanished: false };
  }
  if (verdict === 'doubt') return doubted(worker, status, around);
  const trusted = mayLive(said) ? { doubts: undefined } : {};
  return {
    worker: after(worker, verdict, noted(worker, status, around), trusted, status, around),
    verdict,
    vanished: false,
  };
}

/** A copy that was frozen, or a repeat, brings an event after a newer one about the same task. */
function isOvertaken({ told }: WorkerRecord, { epoch, sequence }: Around): boolean {
  if (told === undefined || sequence === undefined) return false;
  return epoch < told.epoch || (epoch === told.epoch && sequence < told.sequence);
}

/** The same event once more is no second answer. */
function isRepeat({ told }: WorkerRecord, { epoch, sequence }: Around): boolean {
  return told !== undefined && told.epoch === epoch && told.sequence === sequence;
}

function after(
  worker: WorkerRecord,
  verdict: Verdict,
  news: News,
  trusted: { readonly doubts?: undefined },
  status: TaskStatus,
  around: Around,
): WorkerRecord {
  const { moment, settings } = around;
  const seen = { ...news, ...trusted, ...place(worker, status) };
  switch (verdict) {
    case 'starting':
    case 'running':
      return patched(
        worker,
        { ...seen, state: verdict, due: undefined, why: `Mesos: ${status.state}` },
        moment,
      );
    case 'unreachable':
      return patched(
        worker,
        {
          ...seen,
          state: 'unreachable',
          due: moment.now + settings.failures.unreachableGraceMs,
          why: `Mesos cannot reach its agent: ${sentence(status)}`,
        },
        moment,
      );
    case 'end':
      return over(worker, seen, `Mesos: ${sentence(status)}`, around);
    case 'stop': {
      const why = 'it runs although its ACCEPT was taken back as not sent';
      return killed(patched(worker, { ...seen, why }, moment), why, around).next;
    }
    case 'note':
    case 'kill':
    case 'doubt':
      return patched(worker, { ...seen, why: worker.why }, moment);
  }
}

function doubted(worker: WorkerRecord, status: TaskStatus, around: Around): Applied {
  const { moment, settings, framework } = around;
  const news = noted(worker, status, around);
  const masterForMs = moment.now - (framework.masterChangedAt ?? 0);
  const settled = masterForMs > settings.reconcile.masterSettleMs;
  const doubts = worker.doubts ?? 0;
  if (settled && doubts > 0) {
    const why = `Mesos does not know it, told ${doubts + 1} times: ${sentence(status)}`;
    return { worker: over(worker, news, why, around), verdict: 'end', vanished: true };
  }
  const why = `Mesos does not know it; believed when it is repeated: ${sentence(status)}`;
  const next = patched(
    worker,
    { ...news, state: 'unreachable', doubts: doubts + 1, due: moment.now + doubtAgainMs, why },
    moment,
  );
  return { worker: next, verdict: 'doubt', vanished: false };
}

function over(worker: WorkerRecord, news: News, why: string, around: Around): WorkerRecord {
  const { uuid, moment } = around;
  const owed = uuid === undefined ? {} : { unacknowledged: uuid };
  return ended(worker, { ...news, ...owed, why }, moment);
}

type News = Pick<Partial<WorkerRecord>, 'status' | 'told'> & { readonly spoke: number };

/** The status as it is kept; an older one that comes late does not replace a newer one. */
function noted(worker: WorkerRecord, status: TaskStatus, around: Around): News {
  const at = status.timestamp === undefined ? around.moment.now : status.timestamp * 1000;
  const { epoch, sequence } = around;
  const spoke = Math.max(worker.spoke, epoch);
  const told = sequence === undefined ? {} : { told: { epoch, sequence } };
  if (worker.status !== undefined && worker.status.at > at) return { spoke, ...told };
  const { reason, source, message } = status;
  return {
    spoke,
    ...told,
    status: {
      ...(around.uuid === undefined ? {} : { uuid: around.uuid }),
      state: status.state,
      ...(reason === undefined ? {} : { reason }),
      ...(source === undefined ? {} : { source }),
      ...(message === undefined ? {} : { message }),
      at,
    },
  };
}

/** Mesos tells where a task is, whatever was decided: a KILL that names another agent is ignored. */
function place(worker: WorkerRecord, status: TaskStatus): { readonly agentId?: string } {
  if (status.agent_id === undefined) return {};
  if (worker.agentId !== undefined && !mayLive(saidBy(status))) return {};
  return { agentId: status.agent_id.value };
}

function sentence(status: TaskStatus): string {
  return [status.state, status.reason, status.message].filter((part) => part).join(', ');
}
