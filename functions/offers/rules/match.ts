import type { Offer, Resource } from '#proto/mesos/types.ts';
import type { AgentRecord, WorkerRecord } from '#proto/records.ts';
import type { ClusterSettings } from '#proto/spec.ts';
import { cutWorker, type Lack, type Pool, poolOf } from './resources.ts';

/** The offers of one agent that came together; agents are told apart by agent id, never by host name. */
export interface AgentOffers {
  readonly agentId: string;
  readonly hostname: string;
  readonly offers: readonly Offer[];
}

/** One worker's place. */
export interface Placement {
  readonly worker: string;
  readonly agentId: string;
  readonly hostname: string;
  readonly resources: readonly Resource[];
  readonly ports: Readonly<Record<string, number>>;
}

export interface Match {
  readonly placements: readonly Placement[];
  /** For each agent on which nothing was placed: why not. */
  readonly reasons: ReadonlyMap<string, string>;
}

interface Candidate extends AgentOffers {
  readonly pool: Pool;
  readonly placed: number;
}

/** Groups offers by agent, in the order in which they came. */
export function byAgent(offers: readonly Offer[]): AgentOffers[] {
  const agents = new Map<string, Offer[]>();
  for (const offer of offers) {
    const known = agents.get(offer.agent_id.value);
    if (known === undefined) agents.set(offer.agent_id.value, [offer]);
    else known.push(offer);
  }
  return [...agents].map(([agentId, list]) => ({
    agentId,
    hostname: list[0]?.hostname ?? '',
    offers: list,
  }));
}

/**
 * Gives each worker, in order, the agent that has room and got the fewest workers so far: a lost
 * agent then costs the fewest workers. The first sufficient offer is taken, nothing is kept back.
 */
export function match(
  workers: readonly WorkerRecord[],
  agents: readonly AgentOffers[],
  avoided: ReadonlyMap<string, AgentRecord>,
  settings: ClusterSettings,
  now: number,
): Match {
  const reasons = new Map<string, string>();
  const candidates: Candidate[] = [];
  for (const agent of agents) {
    const no = unfit(agent, avoided.get(agent.agentId), settings, now);
    if (no === undefined) candidates.push({ ...agent, pool: poolOf(agent.offers), placed: 0 });
    else reasons.set(agent.agentId, no);
  }
  const placements: Placement[] = [];
  for (const worker of workers) {
    const placement = place(worker, candidates, settings, reasons);
    if (placement !== undefined) placements.push(placement);
  }
  for (const { agentId } of placements) reasons.delete(agentId);
  return { placements, reasons };
}

function place(
  worker: WorkerRecord,
  candidates: Candidate[],
  settings: ClusterSettings,
  reasons: Map<string, string>,
): Placement | undefined {
  const order = [...candidates.keys()].sort(
    (a, b) => (candidates[a]?.placed ?? 0) - (candidates[b]?.placed ?? 0),
  );
  for (const index of order) {
    const candidate = candidates[index];
    if (candidate === undefined) continue;
    const cut = cutWorker(candidate.pool, worker.size, settings.networkResource);
    if (!('rest' in cut)) {
      reasons.set(candidate.agentId, `${worker.id} does not fit: ${showLack(cut)}`);
      continue;
    }
    candidates[index] = { ...candidate, pool: cut.rest, placed: candidate.placed + 1 };
    const { agentId, hostname } = candidate;
    return { worker: worker.id, agentId, hostname, resources: cut.resources, ports: cut.ports };
  }
  return undefined;
}

function unfit(
  agent: AgentOffers,
  avoided: AgentRecord | undefined,
  settings: ClusterSettings,
  now: number,
): string | undefined {
  if (avoided !== undefined && avoided.avoidUntil > now) {
    const seconds = Math.ceil((avoided.avoidUntil - now) / 1000);
    return `agent ${agent.agentId} is avoided for ${seconds} s more: ${avoided.why}`;
  }
  const broken = settings.hostAttributes.find(
    (rule) => textAttribute(agent, rule.attribute) !== rule.value,
  );
  if (broken !== undefined) {
    const is = textAttribute(agent, broken.attribute) ?? 'absent';
    return `attribute ${broken.attribute} is ${is}, wanted ${broken.value}`;
  }
  return undefined;
}

/** The text of an attribute; HOSTNAME is the agent's host name, as in the old integration. */
function textAttribute(agent: AgentOffers, name: string): string | undefined {
  if (name === 'HOSTNAME') return agent.hostname;
  const attributes = agent.offers[0]?.attributes ?? [];
  return attributes.find((attribute) => attribute.name === name)?.text?.value;
}

function showLack(lack: Lack): string {
  const short = Math.round((lack.wanted - lack.offered) * 1000) / 1000;
  return `${lack.name} short by ${short} (offered ${lack.offered}, wanted ${lack.wanted})`;
}
