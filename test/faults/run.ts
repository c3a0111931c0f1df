import { until } from '#test/world/until.ts';
import { inWorld } from '#test/world/world.ts';
import { collect, readTranscript, unrest } from './collect.ts';
import { check, laws, lawsOfTheEnd, type Verdict } from './laws/checker.ts';
import { shareTold } from './laws/end.ts';
import { type Evidence, taken, updates } from './laws/law.ts';
import { Nemesis } from './nemesis.ts';
import { type Fault, type Kind, loadOf, type Plan, scheduleOf, type Wish } from './schedule.ts';
import { type Stage, setStage } from './stage.ts';
import type { OwnEnd } from './supervised.ts';

export interface RunOptions extends Plan {
  readonly agents: number;
  readonly natsServers: 1 | 3;
  readonly load: { readonly low: number; readonly high: number; readonly everyMs: number };
}

/** What a run came to. */
export interface Result {
  readonly seconds: number;
  readonly struck: ReadonlyMap<Kind, number>;
  readonly starts: number;
  /** Processes that ended though nobody had killed them. */
  readonly ownEnds: readonly OwnEnd[];
  readonly held: Held;
  /** From the end of the last fault to rest. */
  readonly restSeconds: number;
  readonly verdicts: readonly Verdict[];
  readonly figures: Readonly<Record<string, number>>;
}

/** How well the load was held while faults struck. */
interface Held {
  readonly wishes: number;
  readonly lowest: number;
  readonly highest: number;
  readonly meanAsked: number;
  readonly meanRunning: number;
}

/** A machine that is busy with other work takes its time; nothing is decided by this limit. */
const restMs = 300_000;
const upMs = 180_000;
const wishAgainMs = 20_000;

/** One run: a load that goes up and down under faults, then calm, rest, and the laws. */
export async function runFaults(options: RunOptions): Promise<Result> {
  let result: Result | undefined;
  await inWorld(
    async (world) => {
      const stage = await setStage(world, options);
      result = await strikeAndCheck(stage, options);
    },
    { zookeeper: 3, nats: options.natsServers },
  );
  if (result === undefined) throw new Error('the run has no result');
  return result;
}

async function strikeAndCheck(stage: Stage, options: RunOptions): Promise<Result> {
  const wishes = loadOf(options, options.load);
  const target = wishes.at(-1)?.workers ?? 0;
  const first = wishes[0]?.workers ?? 0;
  await until(() => scale(stage, first), {
    deadlineMs: upMs,
    what: 'drey takes the first command',
    everyMs: 200,
  });
  await until(async () => (await runningTasks(stage)) === first, {
    deadlineMs: upMs,
    what: 'the first workers run',
    everyMs: 200,
  });
  const nemesis = new Nemesis(stage);
  const began = performance.now();
  const held = await undergo(stage, nemesis, scheduleOf(options), wishes, options.durationMs);
  const seconds = (performance.now() - began) / 1000;
  await nemesis.calm();
  const calmAt = performance.now();
  await until(() => scale(stage, target), {
    deadlineMs: restMs,
    what: 'drey takes the last command',
    everyMs: 500,
  });
  const again = await rest(stage, target);
  const restSeconds = (performance.now() - calmAt) / 1000;
  const clients = [...stage.gateways, ...stage.functions];
  const evidence = await collect(stage, target);
  const ended = { ...evidence, transcript: await endCluster(stage) };
  return {
    seconds,
    struck: nemesis.struck,
    starts: clients.reduce((sum, { process }) => sum + process.starts, 0),
    ownEnds: clients.flatMap(({ process }) => process.ownEnds),
    held,
    restSeconds,
    verdicts: [...check(evidence, laws), ...check(ended, lawsOfTheEnd)],
    figures: { ...figuresOf(evidence), 'last command sent again': again },
  };
}

/** Strikes and scales at the times that were drawn, and looks each second at how many tasks run. */
async function undergo(
  stage: Stage,
  nemesis: Nemesis,
  faults: readonly Fault[],
  wishes: readonly Wish[],
  durationMs: number,
): Promise<Held> {
  const seen: { readonly asked: number; readonly running: number }[] = [];
  const began = performance.now();
  let asked = wishes[0]?.workers ?? 0;
  const timers = [
    ...faults.map((fault) => setTimeout(() => nemesis.strike(fault), fault.at)),
    ...wishes.map(({ at, workers }) =>
      setTimeout(() => {
        asked = workers;
        // What is not answered may have been stored or not: it is asked again by the next one.
        void scale(stage, workers).catch(() => undefined);
      }, at),
    ),
  ];
  while (performance.now() - began < durationMs) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const running = await runningTasks(stage).catch(() => undefined);
    if (running !== undefined) seen.push({ asked, running });
  }
  timers.forEach(clearTimeout);
  const mean = (numbers: readonly number[]): number =>
    Math.round(numbers.reduce((sum, one) => sum + one, 0) / Math.max(1, numbers.length));
  const counts = seen.map(({ running }) => running);
  return {
    wishes: wishes.length,
    lowest: Math.min(...counts),
    highest: Math.max(...counts),
    meanAsked: mean(seen.map((one) => one.asked)),
    meanRunning: mean(counts),
  };
}

/**
 * Waits for rest. The last command is sent again now and then: a process that was frozen may have
 * applied an older one after it. Resolves to how often.
 */
async function rest(stage: Stage, target: number): Promise<number> {
  let last: string | undefined;
  let again = 0;
  let wishedAt = performance.now();
  await until(
    async () => {
      last = await unrest(stage, target);
      if (last === undefined) return true;
      if (performance.now() - wishedAt < wishAgainMs) return false;
      wishedAt = performance.now();
      again += 1;
      await scale(stage, target);
      return false;
    },
    { deadlineMs: restMs, what: 'drey comes to rest', everyMs: 500 },
  ).catch((error: unknown) => {
    throw new Error(`the fleet does not converge: ${last ?? String(error)}`, { cause: error });
  });
  return again;
}

/** Ends the cluster by command; every process of drey that has a reason to ends by itself. */
async function endCluster(stage: Stage): Promise<Evidence['transcript']> {
  const { drey, mesos, gateways, functions } = stage;
  for (const { process } of [...gateways, ...functions]) process.leave();
  await until(async () => (await drey.do('teardown', {})).ok, {
    deadlineMs: restMs,
    what: 'drey takes the command to end',
    everyMs: 500,
  });
  await until(async () => (await drey.framework()).state === 'ended', {
    deadlineMs: restMs,
    what: 'the cluster has ended',
    everyMs: 200,
  });
  await until(() => gateways.every(({ process }) => !process.part.running), {
    deadlineMs: restMs,
    what: 'the gateways have ended',
    everyMs: 200,
  });
  const left = await mesos.frameworks();
  if (left.length > 0) throw new Error(`Mesos still knows ${left.length} frameworks`);
  const workers = await drey.workers();
  if (workers.length > 0) throw new Error(`${workers.length} records of workers are left`);
  return readTranscript(stage);
}

async function scale({ drey }: Stage, workers: number): Promise<boolean> {
  return (await drey.do('scale', { workers })).ok;
}

async function runningTasks({ mesos }: Stage): Promise<number> {
  const frameworks = await mesos.frameworks();
  const tasks = frameworks.flatMap((framework) => framework.tasks);
  return tasks.filter(({ state }) => state === 'TASK_RUNNING').length;
}

function figuresOf(evidence: Evidence): Readonly<Record<string, number>> {
  return {
    launches: taken(evidence, 'ACCEPT').flatMap(({ tasks = [] }) => tasks).length,
    kills: taken(evidence, 'KILL').length,
    updates: updates(evidence).length,
    acknowledgements: taken(evidence, 'ACKNOWLEDGE').length,
    subscriptions: taken(evidence, 'SUBSCRIBE').length,
    transactions: evidence.commits.length,
    decisions: evidence.decisions.length,
    'launches told in %': Math.round(100 * shareTold(evidence)),
  };
}
