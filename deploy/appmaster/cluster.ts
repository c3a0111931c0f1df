import type { FrameworkRecord } from '#proto/records.ts';
import { systemClock } from '#runtime/clock.ts';
import type { Configuration } from '#runtime/config/configuration.ts';
import { connectingZooKeeper, zookeeperOf } from '#runtime/config/connections.ts';
import { connectStore } from '#runtime/store/zookeeper.ts';
import type { Effective } from './effective.ts';
import type { Ended } from './ended.ts';
import type { Java } from './java.ts';
import { JobManager } from './jobmanager.ts';
import { withoutCredentials } from './jobmanager-settings.ts';
import { OrderlyEnd } from './orderly-end.ts';
import { type GatewayReady, startFunctions, startGateway } from './parts.ts';
import type { Plan } from './plan.ts';
import type { Stack } from './stack.ts';
import { requestTeardown } from './teardown.ts';
import { FrameworkWatch, isEnding, outcomeOf } from './watch.ts';

/** What a cluster is started from. */
export interface ClusterOptions {
  readonly stack: Stack;
  readonly plan: Plan;
  readonly configuration: Configuration;
  readonly java: Java;
  readonly effective: Effective;
  readonly say: (line: string) => void;
}

const connectLimitMs = 30_000;
/** Long enough for a registration; after that a silent master is worth a line. */
const masterPatienceMs = 10_000;

/** The gateway, the functions and the JobManager of this machine, and what is made of their ends. */
export class Cluster {
  readonly #options: ClusterOptions;
  readonly #jobManager: JobManager;
  readonly #said = new Set<string>();
  #gateway: GatewayReady | undefined;
  /** An `ended` from before our time is no end of ours. */
  #alive = false;
  /** Set once the JobManager has ended in order. */
  #end: OrderlyEnd | undefined;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#jobManager = new JobManager({
      ...options,
      onEnd: (ended) => this.#handleJobManagerEnd(ended),
      mayRestart: () => !options.stack.stopping && this.#leads() && !this.#ending,
    });
  }

  #watch: FrameworkWatch | undefined;

  get #ending(): boolean {
    return this.#alive && isEnding(this.#watch?.latest);
  }

  /** Without Flink's own election only the JobManager beside the leading gateway runs. */
  #leads(): boolean {
    const { plan } = this.#options;
    if (plan.flinkHa || plan.nats.kind === 'own' || plan.zookeeper.kind === 'own') return true;
    return this.#gateway !== undefined && this.#watch?.latest?.gateway === this.#gateway.name;
  }

  async start(): Promise<void> {
    const { stack, plan, say } = this.#options;
    const watch = await this.#openWatch();
    this.#watch = watch;
    const earlier = await watch.read();
    this.#alive = earlier !== undefined && earlier.state !== 'ended';
    if (this.#ending) {
      say(
        'the cluster was ending when it was last stopped: finishing that, starting no JobManager',
      );
    } else if (this.#leads() || !(await watch.isLed())) {
      // Where nobody leads yet our gateway is about to: the JobManager need not wait for it.
      this.#jobManager.start();
    }
    const joins = (): boolean => this.#alive;
    startGateway(this.#options, joins, (ready) => {
      this.#gateway = ready;
    });
    for (let n = 1; n <= plan.functionProcesses; n++) startFunctions(this.#options, n);
    if (stack.stopping) return;
    watch.start();
    setTimeout(() => this.#sayWhenMasterIsSilent(), masterPatienceMs).unref();
  }

  async #openWatch(): Promise<FrameworkWatch> {
    const { plan, effective } = this.#options;
    const { quorum, path, sessionTimeoutMs, auth } = zookeeperOf(effective.configuration);
    const store = await connectingZooKeeper(
      connectStore({
        servers: quorum,
        sessionTimeoutMs,
        connectTimeoutMs: connectLimitMs,
        clock: systemClock,
        ...(auth === undefined ? {} : { auth: { scheme: 'digest', credential: auth } }),
      }),
    );
    return new FrameworkWatch({
      store,
      zookeeperPath: path,
      cluster: plan.cluster,
      onRecord: (record) => this.#hear(record),
      onError: (error) => {
        const why = error instanceof Error ? error.message : String(error);
        this.#sayOnce(`the framework's record cannot be read, trying on: ${why}`);
      },
    });
  }

  #hear(record: FrameworkRecord): void {
    const { stack, plan } = this.#options;
    if (record.state === 'ended') {
      if (this.#alive) stack.finish(outcomeOf(record));
      return;
    }
    this.#alive = true;
    this.#end?.hear(record);
    if (isEnding(record)) {
      this.#sayOnce(`framework ${record.id} is being torn down`);
      return;
    }
    if (record.masterId !== undefined) {
      this.#sayOnce(
        `registered with Mesos at ${withoutCredentials(plan.master)} as framework ${record.id}`,
      );
    }
    if (record.held !== undefined) {
      this.#sayOnce(
        `HELD since ${new Date(record.held.since).toISOString()}: ${record.held.why}; nothing is launched ` +
          `or killed until: nats pub drey.${plan.cluster}.admin.release-hold '{}'`,
      );
    }
    if (this.#leads()) {
      this.#startJobManager();
    } else if (this.#gateway !== undefined) {
      this.#sayOnce(`standing by: gateway ${record.gateway} leads`);
      void this.#jobManager.stop();
    }
  }

  /** What was there at the first start may be gone by now; it may come back before the next record is heard. */
  #startJobManager(): void {
    try {
      this.#jobManager.start();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#sayOnce(`the JobManager cannot be started, trying on: ${why}`);
    }
  }

  #sayWhenMasterIsSilent(): void {
    const { stack, plan, say } = this.#options;
    if (stack.stopping || this.#watch?.latest?.masterId !== undefined) return;
    const master = withoutCredentials(plan.master);
    const how = 'trying on until drey.mesos.wait is over';
    say(`no Mesos master has answered at ${master} yet (mesos.master), ${how}`);
  }

  /** `leave`: its end was the cluster's end, or is going to be. */
  #handleJobManagerEnd(ended: Ended): 'again' | 'leave' {
    const { stack, plan, effective, say } = this.#options;
    if (this.#ending) return 'leave';
    if (ended.code !== 0) return 'again';
    say('the JobManager has ended in order, waiting until the framework is torn down');
    this.#end = new OrderlyEnd({
      cluster: plan.cluster,
      limitMs: plan.endTimeoutMs,
      request: (id) => requestTeardown(plan.cluster, effective.configuration, id),
      say,
      finish: (outcome) => stack.finish(outcome),
    });
    return 'leave';
  }

  #sayOnce(line: string): void {
    if (this.#said.has(line)) return;
    this.#said.add(line);
    this.#options.say(line);
  }
}
