import type { DecisionMessage, SetAsideMessage } from '#proto/messages.ts';
import {
  type AgentRecord,
  type DriverRecord,
  type FrameworkRecord,
  type LaunchesRecord,
  type WorkerRecord,
  type WorkerState,
  workerStates,
} from '#proto/records.ts';
import { type SpecRecord, targetOf } from '#proto/spec.ts';

/** Reasons in one answer. */
export const reasonsShown = 20;
/** Of what was set aside. */
const setAsideShown = 20;
/** What was set aside before is told in the figures, not in the sentence. */
const lateMs = 3_600_000;
/** Ticks come once a second. */
const tickLateMs = 5000;

/** What an answer is made from; everything may be missing before a gateway has led once. */
export interface Picture {
  readonly now: number;
  readonly framework: FrameworkRecord | undefined;
  readonly spec: SpecRecord | undefined;
  readonly driver: DriverRecord | undefined;
  readonly launches: LaunchesRecord | undefined;
  readonly workers: readonly WorkerRecord[];
  /** Messages that functions could make nothing of, the newest last. */
  readonly setAside: readonly SetAsideMessage[];
  /** Records that are there and cannot be read, each as a sentence. */
  readonly unread?: readonly string[];
  /** The last tick that this copy heard, and when. */
  readonly tick: { readonly at: number; readonly subscribed: boolean } | undefined;
}

/** One remembered reason of a decision. */
export interface Remembered {
  readonly at: number;
  readonly function: string;
  readonly about: string;
  readonly why: string;
}

/** `ask.status`: one sentence first, then the figures. */
export function status(picture: Picture): Record<string, unknown> {
  const { framework, spec, driver, launches, workers, now } = picture;
  const states = Object.fromEntries(
    workerStates.map((state) => [state, workers.filter((worker) => worker.state === state).length]),
  ) as Record<WorkerState, number>;
  return {
    sentence: statusSentence(picture, states),
    framework:
      framework === undefined
        ? undefined
        : {
            id: framework.id,
            state: framework.state,
            epoch: framework.epoch,
            masterId: framework.masterId,
            held: framework.held,
            result: framework.result,
          },
    generation: spec?.generation,
    demand: spec?.configured.demand.mode,
    target: spec?.configured.demand.mode === 'fixed' ? targetOf(spec) : undefined,
    driver: driver?.session,
    workers: states,
    unreadable: picture.unread ?? [],
    launchesPausedMs: Math.max(0, (launches?.notBefore ?? 0) - now),
    setAside: {
      count: countOf(picture.setAside),
      last: picture.setAside.slice(-setAsideShown),
    },
  };
}

function countOf(setAside: readonly SetAsideMessage[]): number {
  return setAside.reduce((sum, { more }) => sum + 1 + more, 0);
}

/** What was set aside within the last hour, as a part of the sentence. */
function asideSentence({ setAside, now }: Picture): string | undefined {
  const late = setAside.filter(({ at }) => now - at < lateMs);
  const last = late.at(-1);
  if (last === undefined) return undefined;
  const count = countOf(late);
  const messages = count === 1 ? '1 message was' : `${count} messages were`;
  return `${messages} set aside, the last by ${last.function}: ${last.why}`;
}

/** What is away, as the ticks of the leading gateway tell it. */
function outage({ tick, now }: Picture): string | undefined {
  if (tick === undefined || now - tick.at > tickLateMs) {
    return 'no gateway has been heard for some seconds: none leads, or NATS loses its ticks';
  }
  return tick.subscribed ? undefined : 'the gateway is not subscribed to Mesos';
}

/** `ask.workers`: every worker, newest last. */
export function workersOf(picture: Picture): Record<string, unknown> {
  const workers = picture.workers.map((worker) => ({
    id: worker.id,
    state: worker.state,
    agentId: worker.agentId,
    hostname: worker.hostname,
    ports: worker.ports,
    cpus: worker.size.cpus,
    memMb: worker.size.memMb,
    since: worker.times[worker.state],
    status: worker.status?.state,
    why: worker.why,
  }));
  return { sentence: `${workers.length} workers`, workers };
}

/** `ask.explain` for a worker: why it is where it is, and the last decisions about it. */
export function explainWorker(
  picture: Picture,
  id: string,
  remembered: readonly Remembered[],
): Record<string, unknown> {
  const worker = picture.workers.find((one) => one.id === id);
  const about = remembered.filter((one) => one.about === id || one.why.includes(id));
  // Why it waits is told of agents and their offers, not of the worker.
  const since = worker?.state === 'wanted' ? (worker.times.wanted ?? 0) : Number.POSITIVE_INFINITY;
  const offers = remembered.filter((one) => one.function === 'offers' && one.at >= since);
  return {
    sentence: workerSentence(picture, worker, id, about, offers),
    worker,
    decisions: [...new Set([...about, ...offers])].slice(-reasonsShown),
  };
}

/** `ask.explain` for an agent: what was decided about its offers. */
export function explainAgent(
  agent: AgentRecord | undefined,
  id: string,
  picture: Picture,
  remembered: readonly Remembered[],
): Record<string, unknown> {
  const about = remembered.filter((one) => one.about === id);
  const here = picture.workers.filter((worker) => worker.agentId === id).map((one) => one.id);
  const avoided = agent !== undefined && agent.avoidUntil > picture.now;
  const last = about.at(-1)?.why ?? 'no offer of it was decided upon lately';
  const sentence = avoided
    ? `agent ${id} is avoided for ${agent.avoidUntil - picture.now} ms more: ${agent.why}`
    : `agent ${id} runs ${here.length} workers; last decision: ${last}`;
  return { sentence, workers: here, avoided: agent, decisions: about };
}

/** `ask.explain` for nothing in particular: where the cluster stands, and the last decisions of all. */
export function lastDecisions(
  picture: Picture,
  remembered: readonly Remembered[],
): Record<string, unknown> {
  return { sentence: status(picture).sentence, decisions: remembered };
}

/** The reasons of one line of the decision log. */
export function rememberedFrom(decision: DecisionMessage): Remembered[] {
  return decision.reasons.map(({ about, why }) => ({
    at: decision.at,
    function: decision.function,
    about,
    why,
  }));
}

function statusSentence(picture: Picture, states: Record<WorkerState, number>): string {
  const { framework, unread = [] } = picture;
  const [first] = unread;
  if (first !== undefined) {
    const more = unread.length > 1 ? ` (and ${unread.length - 1} more)` : '';
    return `NOTHING IS DECIDED where it takes a record that cannot be read: ${first}${more}`;
  }
  if (framework === undefined) return 'no gateway has led this cluster yet';
  if (framework.held !== undefined) {
    return `HELD: ${framework.held.why}; nothing is launched or killed until admin.release-hold`;
  }
  if (framework.state !== 'active') {
    return `the cluster is ${framework.state}: ${framework.result?.why ?? 'no reason recorded'}`;
  }
  const pausedMs = (picture.launches?.notBefore ?? 0) - picture.now;
  return [
    `framework ${framework.id} is active: ${states.running} workers running`,
    ...(states.wanted > 0 ? [`${states.wanted} wait for an offer`] : []),
    ...(states.unreachable > 0 ? [`${states.unreachable} cannot be reached`] : []),
    ...(pausedMs > 0 ? [`launches pause for ${pausedMs} ms after failures`] : []),
    ...[outage(picture) ?? [], asideSentence(picture) ?? []].flat(),
  ].join(', ');
}

function workerSentence(
  picture: Picture,
  worker: WorkerRecord | undefined,
  id: string,
  about: readonly Remembered[],
  offers: readonly Remembered[],
): string {
  if (worker === undefined) {
    const last = about.at(-1);
    return last === undefined ? `there is no worker ${id}` : `${id} is gone: ${last.why}`;
  }
  const held = picture.framework?.held;
  if (worker.state === 'wanted' && held !== undefined) return `${id} waits: held, ${held.why}`;
  if (worker.state !== 'wanted') return `${id} is ${worker.state}: ${worker.why}`;
  const pausedMs = (picture.launches?.notBefore ?? 0) - picture.now;
  if (pausedMs > 0) return `${id} waits: launches pause for ${pausedMs} ms after failures`;
  const away = outage(picture);
  if (away !== undefined) return `${id} waits: ${away}`;
  const blocked = offers.findLast((one) => one.about !== id && one.about !== 'offers');
  return `${id} waits: ${blocked?.why ?? 'no offer has come since'}`;
}
