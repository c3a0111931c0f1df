import { type NatsServer, startNats } from '#test/world/nats.ts';
import { type ScriptedDemand, startDemand } from './demand.ts';
import {
  type Flink,
  type FlinkPart,
  type FlinkVersion,
  prepareFlink,
  type Settings,
} from './flink.ts';

/** A real NATS, a real JobManager with the driver, and a scripted demand that starts TaskManagers. */
export interface Session {
  readonly nats: NatsServer;
  readonly flink: Flink;
  readonly demand: ScriptedDemand;
  readonly jobManager: FlinkPart;
  /** Runs the endless example job; resolves to its id. */
  submit(parallelism: number): Promise<string>;
  stop(): Promise<void>;
}

export const cluster = 'driver-test';
const endlessJob = 'org.apache.flink.streaming.examples.windowing.TopSpeedWindowing';

/** Starts all of it; resolves when the JobManager serves. */
export async function startSession(
  version: FlinkVersion,
  settings: Settings = {},
): Promise<Session> {
  const nats = await startNats();
  const flink = await prepareFlink(version, { ...driverSettings(nats.url), ...settings });
  const demand = await startDemand(nats.url, cluster, (worker) =>
    flink.startTaskManager(worker.id, worker.request),
  );
  const started = performance.now();
  const jobManager = flink.startJobManager();
  const stop = async (): Promise<void> => {
    await flink.stop();
    await demand.stop();
    await nats.stop();
  };
  try {
    await flink.rest.serving();
  } catch (error) {
    const log = await jobManager.log();
    await stop();
    throw new Error(`the JobManager does not serve:\n${log.slice(-4000)}`, { cause: error });
  }
  note('JobManager start to serving', started);
  return {
    nats,
    flink,
    demand,
    jobManager,
    submit: (parallelism) => flink.rest.submit(flink.examples, endlessJob, parallelism),
    stop,
  };
}

/** What the driver needs to find this NATS. */
export function driverSettings(url: string): Settings {
  return { 'drey.cluster': cluster, 'drey.nats.servers': url };
}

/** Prints a measured time beside the tests. */
export function note(what: string, since: number): void {
  console.log(`# ${what}: ${((performance.now() - since) / 1000).toFixed(2)} s`);
}
