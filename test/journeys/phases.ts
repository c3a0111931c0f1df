import type { Mesos } from '#test/world/mesos.ts';
import type { Session } from '#test/world/session.ts';
import { until } from '#test/world/until.ts';

/** Seconds from the submission of a job to each phase of its start. */
export interface Phases {
  readonly jobId: string;
  /** The workers that were made for it. */
  readonly workers: readonly string[];
  readonly requested: number;
  readonly accepted: number;
  readonly firstRunning: number;
  readonly lastRunning: number;
  readonly firstRegistered: number;
  readonly lastRegistered: number;
  readonly jobRunning: number;
}

const deadlineMs = 180_000;

/** Submits the endless example, waits until it runs, and tells when what happened. */
export async function submit(
  session: Session,
  mesos: Mesos,
  parallelism: number,
  newWorkers: number,
): Promise<Phases> {
  const known = new Set((await session.drey.workers()).map(({ id }) => id));
  const submitted = Date.now();
  const since = (at: number): number => (at - submitted) / 1000;
  const jobId = await session.rest.submit(session.examples, endlessJob, parallelism);
  const registered = registrations(session, known, newWorkers);
  await session.rest.running(jobId, deadlineMs);
  const jobRunning = since(Date.now());
  const times = (await registered).map(since);
  const made = (await session.drey.workers()).filter(({ id }) => !known.has(id));
  const running = await runningTimes(mesos, new Set(made.map(({ id }) => id)));
  return {
    jobId,
    workers: made.map(({ id }) => id),
    requested: since(Math.min(...made.map(({ times }) => times.wanted ?? Number.NaN))),
    accepted: since(Math.max(...made.map(({ launch }) => launch?.at ?? Number.NaN))),
    firstRunning: since(Math.min(...running)),
    lastRunning: since(Math.max(...running)),
    firstRegistered: Math.min(...times),
    lastRegistered: Math.max(...times),
    jobRunning,
  };
}

/** The job of the baseline; it rests between elements, so that it leaves the machine to what is measured. */
export const endlessJob = 'org.apache.flink.streaming.examples.windowing.TopSpeedWindowing';

/** When each new TaskManager was first seen at Flink's REST interface. */
async function registrations(
  session: Session,
  known: ReadonlySet<string>,
  count: number,
): Promise<readonly number[]> {
  const seen = new Map<string, number>();
  await until(
    async () => {
      for (const id of await session.rest.taskManagers()) {
        if (!known.has(id) && !seen.has(id)) seen.set(id, Date.now());
      }
      return seen.size >= count;
    },
    { deadlineMs, what: `${count} new TaskManagers are registered`, everyMs: 25 },
  );
  return [...seen.values()];
}

/** When Mesos first told that each of these tasks runs. */
async function runningTimes(mesos: Mesos, ids: ReadonlySet<string>): Promise<readonly number[]> {
  const { updates } = await mesos.history();
  const times = new Map<string, number>();
  for (const { taskId, state, at } of updates) {
    if (state === 'TASK_RUNNING' && ids.has(taskId) && !times.has(taskId)) times.set(taskId, at);
  }
  return [...times.values()];
}
