import { workerNumber } from '#functions/shared/worker.ts';
import type { SchedulerCall } from '#proto/mesos/types.ts';
import type { WorkerRecord } from '#proto/records.ts';
import { laterField } from '../versions.ts';
import type { World } from '../world/life.ts';
import type { CallAnswer, SimMesos } from '../world/mesos/master.ts';
import { lives } from '../world/mesos/task.ts';
import type { AgreedRecords } from './records.ts';

/** A law that was broken. */
export interface Violation {
  readonly law: string;
  readonly what: string;
  /** Ids that a reader of the time line looks for. */
  readonly about: readonly string[];
}

/** A task is killed again when it has not ended; nothing is killed more often than this. */
const mostKills = 40;
const stormMs = 10_000;
/** Reasons that tell of another launch than the one that stands. */
const strays: ReadonlySet<string> = new Set(['REASON_INVALID_OFFERS', 'REASON_TASK_INVALID']);

/** What the laws look at. */
export interface Watched {
  readonly world: World;
  readonly records: AgreedRecords;
  readonly mesos: SimMesos;
}

/** The laws of DESIGN section 9 that hold at every moment, checked as calls reach the master. */
export class Laws {
  readonly #watched: Watched;
  readonly violations: Violation[] = [];
  readonly #launched = new Set<string>();
  /** Launches until the store was restored. */
  readonly #before = new Map<string, number>();
  /** Task to when it was killed of late. */
  readonly #kills = new Map<string, readonly number[]>();
  #inForce = true;

  constructor(watched: Watched) {
    this.#watched = watched;
    watched.mesos.onCall((call, answer) => this.#call(call, answer));
    watched.records.onRestore(() => this.#forget());
    watched.records.onWorker((worker, before) => {
      this.#ended(worker, before);
      if (before?.[laterField] !== undefined && worker[laterField] === undefined) {
        const what = `${worker.id} lost what a newer copy had written`;
        this.broken('unknown fields are kept on rewrite', what, [worker.id]);
      }
      if (watched.records.doubled.includes(worker.id)) {
        this.broken('one worker per driver request', `${worker.request} has two`, [worker.id]);
      }
    });
  }

  /** Before Mesos has spoken nobody can know what an old copy does not: Mesos refuses a living id. */
  #forget(): void {
    this.#launched.clear();
    this.#before.clear();
    for (const [id, count] of launchesOf(this.#watched.mesos)) this.#before.set(id, count);
  }

  get broke(): boolean {
    return this.violations.length > 0;
  }

  broken(law: string, what: string, about: readonly string[]): void {
    if (!this.#inForce) return;
    this.#watched.world.history.note('law', 'BROKEN', `${law}: ${what}`);
    this.violations.push({ law, what, about });
    this.#inForce = false;
  }

  #call(call: SchedulerCall, answer: CallAnswer): void {
    if (call.type === 'SUBSCRIBE') this.#subscribe(call, answer);
    if (answer.status !== 202) return;
    if (call.type === 'ACCEPT') this.#accept(call);
    if (call.type === 'ACKNOWLEDGE') this.#acknowledge(call);
    if (call.type === 'KILL') this.#kill(call);
  }

  #accept(call: SchedulerCall): void {
    const { records, mesos } = this.#watched;
    const infos = call.accept?.operations?.flatMap((one) => one.launch?.task_infos ?? []) ?? [];
    for (const { task_id } of infos) {
      const id = task_id.value;
      const launches = (launchesOf(mesos).get(id) ?? 0) - (this.#before.get(id) ?? 0);
      // Mesos refuses the id of a task that lives; an ACCEPT that counts on that is a second launch.
      const again = launches > 1 || this.#launched.has(id);
      if (again) this.broken('no worker is launched twice', `a second ACCEPT names ${id}`, [id]);
      if (launches > 0) this.#launched.add(id);
      if (launches > 0 && !records.decided.has(id)) {
        this.broken('no launch before its transaction', `${id} is not decided`, [id]);
      }
    }
  }

  #acknowledge(call: SchedulerCall): void {
    const id = call.acknowledge?.task_id.value ?? '';
    const uuid = Buffer.from(call.acknowledge?.uuid ?? []).toString('base64');
    const { records, mesos } = this.#watched;
    const record = records.workers.get(id);
    if (record === undefined || records.stored.has(uuid)) return;
    // An id that the restored store does not know to be given out: its task is a stranger's.
    if (this.#before.has(id)) return;
    const status = mesos.agents
      .flatMap((agent) => agent.unacknowledged)
      .find((one) => Buffer.from(one.uuid ?? []).toString('base64') === uuid);
    const at = (status?.timestamp ?? 0) * 1000;
    // A late status does not replace a newer one; what is stored is ahead of it.
    if (status === undefined || (record.status?.at ?? 0) > at) return;
    const what = `${id} ${status.state} is acknowledged, stored is ${record.status?.state}`;
    this.broken('no update is acknowledged before it is stored', what, [id]);
  }

  /** Mesos said nothing of the task itself, and its agent runs it. */
  #ended(worker: WorkerRecord, before: WorkerRecord | undefined): void {
    const { reason } = worker.status ?? {};
    if (worker.state !== 'ended' || before?.state === 'ended' || reason === undefined) return;
    const task = this.#watched.mesos.agents
      .map((agent) => agent.tasks.get(worker.id))
      .find((one) => one !== undefined && lives(one));
    if (task === undefined || before?.state === 'launching' || !strays.has(reason)) return;
    const what = `${worker.id} runs, its record ended by ${reason}`;
    this.broken('no worker ends by a word about another launch', what, [worker.id]);
  }

  /** Each KILL of what is not there brings an answer: one that is answered by KILL never ends. */
  #storm(id: string): void {
    const now = this.#watched.world.time.now();
    const recent = [...(this.#kills.get(id) ?? []).filter((at) => now - at < stormMs), now];
    this.#kills.set(id, recent);
    if (recent.length <= mostKills) return;
    const what = `${recent.length} KILLs of ${id} within ${stormMs} ms`;
    this.broken('work comes to rest', what, [id]);
  }

  #kill(call: SchedulerCall): void {
    const id = call.kill?.task_id.value ?? '';
    this.#storm(id);
    const { records } = this.#watched;
    if ((workerNumber(id) ?? 0) > records.counter) {
      const what = `${id}, ids were given out up to ${records.counter}`;
      this.broken('a store older than the cluster kills nothing', what, [id, 'held']);
    }
    const state = records.workers.get(id)?.state;
    if (state === undefined || state === 'stopping' || state === 'ended') return;
    this.broken('no KILL of a worker still wanted', `${id} is ${state}`, [id]);
  }

  #subscribe(call: SchedulerCall, answer: CallAnswer): void {
    const { records, mesos } = this.#watched;
    const id = call.framework_id?.value ?? '';
    const { framework } = records;
    const over = framework !== undefined && framework.state !== 'active';
    const another = over && (id !== framework.id || framework.state !== 'ending');
    // A new master has forgotten that an operator removed it; we know once we were told.
    const removed = framework?.fenced.includes(id) === true;
    const stands = [...(mesos.master?.frameworks.values() ?? [])].some((one) => one.id === id);
    if (answer.status === 200 && stands && (another || removed)) {
      this.broken('an ended framework never registers again', `SUBSCRIBE of ${id}`, [id]);
    }
  }
}

/** Accepted launches of each task id over all masters and frameworks that ever were. */
function launchesOf(mesos: SimMesos): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const master of mesos.masters) {
    for (const launches of master.history.launches.values()) {
      for (const [id, count] of launches) counts.set(id, (counts.get(id) ?? 0) + count);
    }
  }
  return counts;
}
