import type { Offer } from '#proto/mesos/types.ts';
import { addOffer, freeOf } from './ledger.ts';
import {
  contains,
  dominantShare,
  isAllocatable,
  nothing,
  plus,
  type Resources,
  toMesos,
} from './resources.ts';
import type { Agent, Framework, OfferRecord, Step } from './state.ts';

interface Candidate {
  readonly framework: Framework;
  readonly role: string;
}

/** Offers what the given agents have free, each agent's rest as one offer to whoever has least. */
export function allocate(step: Step, agents: Iterable<Agent>): void {
  const candidates = candidatesOf(step);
  if (candidates.length === 0) return;
  const made = new Map<Framework, Offer[]>();
  for (const agent of agents) {
    if (agent.connection === undefined) continue;
    const free = freeOf(agent);
    if (!isAllocatable(free)) continue;
    const taker = byFairness(step, candidates).find((one) => !isFiltered(step, one, agent, free));
    if (taker === undefined) continue;
    const offer = makeOffer(step, taker, agent, free);
    const list = made.get(taker.framework);
    if (list === undefined) made.set(taker.framework, [offer]);
    else list.push(offer);
  }
  for (const [framework, offers] of made) {
    if (framework.stream === undefined) continue;
    const event = { type: 'OFFERS', offers: { offers } } as const;
    step.out.push({ kind: 'event', streamId: framework.stream.id, event });
  }
}

/** How long the refused part of an agent is kept from a framework. */
export interface Refusal {
  readonly agentId: string;
  readonly role: string;
  readonly resources: Resources;
  readonly refuseSeconds: number | undefined;
}

const defaultRefuseSeconds = 5;
const longestRefuseSeconds = 365 * 24 * 3600;

/**
 * Remembers a refusal. 0 keeps nothing back; anything else lasts at least until the next
 * allocation run, and a negative time is the default one.
 */
export function addFilter(step: Step, framework: Framework, refusal: Refusal): void {
  const asked = refusal.refuseSeconds ?? defaultRefuseSeconds;
  const seconds = asked < 0 ? defaultRefuseSeconds : Math.min(asked, longestRefuseSeconds);
  if (seconds === 0) return;
  const lasts = Math.max(seconds * 1000, step.state.options.allocationIntervalMs);
  const byAgent = framework.filters.get(refusal.role) ?? new Map();
  framework.filters.set(refusal.role, byAgent);
  const filters = byAgent.get(refusal.agentId) ?? [];
  byAgent.set(refusal.agentId, filters);
  filters.push({ refused: refusal.resources, until: step.now + lasts });
}

function candidatesOf(step: Step): readonly Candidate[] {
  const candidates: Candidate[] = [];
  for (const framework of step.state.frameworks.values()) {
    if (framework.stream === undefined) continue;
    for (const role of framework.roles) {
      if (!framework.suppressed.has(role)) candidates.push({ framework, role });
    }
  }
  return candidates;
}

/** Least dominant share first: of the role, then of the framework in it. Ties keep their order. */
function byFairness(step: Step, candidates: readonly Candidate[]): readonly Candidate[] {
  if (candidates.length === 1) return candidates;
  const { whole, frameworks } = step.state;
  const inRole = new Map<string, Resources>();
  for (const framework of frameworks.values()) {
    for (const [role, taken] of framework.allocated) {
      inRole.set(role, plus(inRole.get(role) ?? nothing, taken));
    }
  }
  const keyed = candidates.map((candidate) => ({
    candidate,
    role: dominantShare(inRole.get(candidate.role) ?? nothing, whole),
    own: dominantShare(candidate.framework.allocated.get(candidate.role) ?? nothing, whole),
  }));
  keyed.sort((a, b) => a.role - b.role || a.own - b.own);
  return keyed.map(({ candidate }) => candidate);
}

function isFiltered(step: Step, candidate: Candidate, agent: Agent, free: Resources): boolean {
  const byAgent = candidate.framework.filters.get(candidate.role);
  const filters = byAgent?.get(agent.id);
  if (byAgent === undefined || filters === undefined) return false;
  const valid = filters.filter((filter) => filter.until > step.now);
  if (valid.length === 0) byAgent.delete(agent.id);
  else if (valid.length < filters.length) byAgent.set(agent.id, valid);
  return valid.some((filter) => contains(filter.refused, free));
}

function makeOffer(step: Step, taker: Candidate, agent: Agent, free: Resources): Offer {
  const { state, now } = step;
  const { framework, role } = taker;
  const id = `${state.options.masterId}-O${state.nextOffer}`;
  state.nextOffer += 1;
  const record = { id, frameworkId: framework.id, agentId: agent.id, role, resources: free };
  addOffer(state, framework, { ...record, madeAt: now });
  return offerMessage(framework, agent, { ...record, madeAt: now });
}

/** The offer as a framework reads it. */
export function offerMessage(framework: Framework, agent: Agent, offer: OfferRecord): Offer {
  const { hostname, ip, port, attributes } = agent.registration;
  const multiRole = framework.capabilities.has('MULTI_ROLE');
  return {
    id: { value: offer.id },
    framework_id: { value: framework.id },
    agent_id: { value: agent.id },
    hostname,
    url: { scheme: 'http', address: { hostname, ip, port }, path: '/slave(1)' },
    resources: toMesos(offer.resources, {
      withRole: !framework.capabilities.has('RESERVATION_REFINEMENT'),
      allocatedTo: multiRole ? offer.role : undefined,
    }),
    ...(attributes.length === 0 ? {} : { attributes }),
    ...(multiRole ? { allocation_info: { role: offer.role } } : {}),
  };
}
