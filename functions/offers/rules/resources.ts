import type { Offer, Resource, ValueRange } from '#proto/mesos/types.ts';
import type { WorkerSize } from '#proto/records.ts';

/**
 * Resources counted as Mesos counts them: scalars in thousandths (fixed point with three decimals),
 * ranges as closed intervals. Each entry of the offers keeps its role, reservation and allocation
 * fields; what is taken is cut from it.
 */
export interface Pool {
  readonly entries: readonly PoolEntry[];
}

interface PoolEntry {
  readonly resource: Resource;
  /** What is left of a scalar, in thousandths. */
  readonly milli: number;
  /** What is left of ranges. */
  readonly ranges: readonly ValueRange[];
}

/** What was cut for one worker, and what is left for the next. */
export interface Cut {
  readonly resources: readonly Resource[];
  /** Port keys of the worker with the port that each got. */
  readonly ports: Readonly<Record<string, number>>;
  readonly rest: Pool;
}

/** What an agent's offers do not have enough of. */
export interface Lack {
  readonly name: string;
  readonly wanted: number;
  readonly offered: number;
}

/** All that the offers of one agent hold, reserved resources first; revocable and shared ones and persistent disks are left alone. */
export function poolOf(offers: readonly Offer[]): Pool {
  const entries = offers
    .flatMap((offer) => offer.resources ?? [])
    .filter((resource) => !leftAlone(resource))
    .map((resource) => ({
      resource,
      milli: toMilli(resource.scalar?.value ?? 0),
      ranges: resource.ranges?.range ?? [],
    }));
  return {
    entries: [
      ...entries.filter((entry) => isReserved(entry.resource)),
      ...entries.filter((entry) => !isReserved(entry.resource)),
    ],
  };
}

/** Cuts one worker's resources from the pool, or says what is lacking. The pool itself stays as it is. */
export function cutWorker(pool: Pool, size: WorkerSize, networkResource: string): Cut | Lack {
  const scalars: readonly (readonly [string, number])[] = [
    ['cpus', size.cpus],
    ['gpus', size.gpus],
    ['mem', size.memMb],
    ['disk', size.diskMb],
    [networkResource, size.network],
  ];
  let rest = pool;
  const resources: Resource[] = [];
  for (const [name, wanted] of scalars) {
    if (wanted <= 0) continue;
    const cut = cutScalar(rest, name, toMilli(wanted));
    if (!('rest' in cut)) return cut;
    resources.push(...cut.resources);
    rest = cut.rest;
  }
  const cut = cutPorts(rest, size.ports);
  if (!('rest' in cut)) return cut;
  return { resources: [...resources, ...cut.resources], ports: cut.ports, rest: cut.rest };
}

/** How much of a scalar the pool holds, for a sentence. */
function offered(pool: Pool, name: string): number {
  return fromMilli(
    pool.entries.reduce((sum, e) => (e.resource.name === name ? sum + e.milli : sum), 0),
  );
}

function cutScalar(pool: Pool, name: string, wanted: number): Omit<Cut, 'ports'> | Lack {
  let missing = wanted;
  const resources: Resource[] = [];
  const entries = pool.entries.map((entry) => {
    if (missing === 0 || entry.resource.name !== name || entry.milli <= 0) return entry;
    const taken = Math.min(missing, entry.milli);
    missing -= taken;
    resources.push({ ...entry.resource, scalar: { value: fromMilli(taken) } });
    return { ...entry, milli: entry.milli - taken };
  });
  if (missing > 0) return { name, wanted: fromMilli(wanted), offered: offered(pool, name) };
  return { resources, rest: { entries } };
}

function cutPorts(pool: Pool, keys: readonly string[]): Cut | Lack {
  const taken: number[] = [];
  const resources: Resource[] = [];
  const entries = pool.entries.map((entry) => {
    if (entry.resource.name !== 'ports' || taken.length === keys.length) return entry;
    const cut = firstPorts(entry.ranges, keys.length - taken.length);
    if (cut.ports.length === 0) return entry;
    taken.push(...cut.ports);
    const range = cut.ports.map((port) => ({ begin: port, end: port }));
    resources.push({ ...entry.resource, ranges: { range: joined(range) } });
    return { ...entry, ranges: cut.rest };
  });
  if (taken.length < keys.length) {
    return { name: 'ports', wanted: keys.length, offered: taken.length };
  }
  const ports = Object.fromEntries(keys.map((key, index) => [key, taken[index] ?? 0]));
  return { resources, ports, rest: { entries } };
}

function firstPorts(
  ranges: readonly ValueRange[],
  count: number,
): { readonly ports: readonly number[]; readonly rest: readonly ValueRange[] } {
  const ports: number[] = [];
  const rest: ValueRange[] = [];
  for (const { begin, end } of [...ranges].sort((a, b) => a.begin - b.begin)) {
    const take = Math.min(count - ports.length, end - begin + 1);
    for (let port = begin; port < begin + take; port += 1) ports.push(port);
    if (begin + take <= end) rest.push({ begin: begin + take, end });
  }
  return { ports, rest };
}

/** Neighbouring intervals become one, as Mesos writes them. */
function joined(ranges: readonly ValueRange[]): ValueRange[] {
  const out: ValueRange[] = [];
  for (const range of ranges) {
    const last = out.at(-1);
    if (last !== undefined && last.end + 1 === range.begin) {
      out[out.length - 1] = { begin: last.begin, end: range.end };
    } else {
      out.push(range);
    }
  }
  return out;
}

/** Revocable resources may be taken away, shared ones and persistent volumes belong to somebody. */
function leftAlone(resource: Resource): boolean {
  return (
    resource.revocable !== undefined ||
    resource.shared !== undefined ||
    resource.disk !== undefined ||
    resource.provider_id !== undefined
  );
}

function isReserved(resource: Resource): boolean {
  const role = resource.role ?? '*';
  return (resource.reservations?.length ?? 0) > 0 || role !== '*';
}

function toMilli(value: number): number {
  return Math.round(value * 1000);
}

function fromMilli(milli: number): number {
  return milli / 1000;
}
