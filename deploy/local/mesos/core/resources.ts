import type { Resource, ValueRange } from '#proto/mesos/types.ts';

/**
 * Amounts of unreserved resources. Scalars are counted in thousandths, as Mesos does, so that sums
 * are exact; ranges are sorted, apart and not empty. No entry is zero or empty.
 */
export interface Resources {
  readonly scalars: ReadonlyMap<string, number>;
  readonly ranges: ReadonlyMap<string, readonly ValueRange[]>;
}

export const nothing: Resources = { scalars: new Map(), ranges: new Map() };

/** How resources are written for one framework: what it can read decides what is said. */
export interface ResourceForm {
  /** Names `role: "*"`; left out for a framework with RESERVATION_REFINEMENT. */
  readonly withRole: boolean;
  /** Names the role that the resources are allocated to, for MULTI_ROLE. */
  readonly allocatedTo: string | undefined;
}

const thousandth = 1000;
/** Below these amounts an agent's rest is not worth an offer: 0.01 cpus, 32 MB. */
const leastCpus = 10;
const leastMem = 32_000;

export function isEmpty(resources: Resources): boolean {
  return resources.scalars.size === 0 && resources.ranges.size === 0;
}

/** Whether there is enough left to make an offer of. */
export function isAllocatable(resources: Resources): boolean {
  const { scalars } = resources;
  return (scalars.get('cpus') ?? 0) >= leastCpus || (scalars.get('mem') ?? 0) >= leastMem;
}

/** The scalars alone: ranges of different agents cannot be summed. */
export function scalarsOf(resources: Resources): Resources {
  return { scalars: resources.scalars, ranges: nothing.ranges };
}

export function plus(a: Resources, b: Resources): Resources {
  if (isEmpty(a)) return b;
  if (isEmpty(b)) return a;
  const scalars = new Map(a.scalars);
  for (const [name, amount] of b.scalars) scalars.set(name, (scalars.get(name) ?? 0) + amount);
  const ranges = new Map(a.ranges);
  for (const [name, more] of b.ranges)
    ranges.set(name, joined([...(ranges.get(name) ?? []), ...more]));
  return { scalars, ranges };
}

/** What is left of `a`; what `b` has beyond it counts as nothing. */
export function minus(a: Resources, b: Resources): Resources {
  if (isEmpty(b)) return a;
  const scalars = new Map(a.scalars);
  for (const [name, amount] of b.scalars) {
    const left = (scalars.get(name) ?? 0) - amount;
    if (left > 0) scalars.set(name, left);
    else scalars.delete(name);
  }
  const ranges = new Map(a.ranges);
  for (const [name, less] of b.ranges) {
    const left = without(ranges.get(name) ?? [], less);
    if (left.length > 0) ranges.set(name, left);
    else ranges.delete(name);
  }
  return { scalars, ranges };
}

export function contains(a: Resources, b: Resources): boolean {
  for (const [name, amount] of b.scalars) if ((a.scalars.get(name) ?? 0) < amount) return false;
  for (const [name, wanted] of b.ranges) {
    if (without(wanted, a.ranges.get(name) ?? []).length > 0) return false;
  }
  return true;
}

/** Reads `cpus:4;mem:8192;ports:[31000-31999]`, the agent's `--resources`. */
export function parseResources(text: string): Resources {
  let all = nothing;
  for (const part of text.split(';')) {
    const item = part.trim();
    if (item === '') continue;
    const colon = item.indexOf(':');
    const name = item.slice(0, colon).trim();
    const value = item.slice(colon + 1).trim();
    if (colon < 1 || !/^[a-z][a-z0-9_-]*$/.test(name)) throw new RangeError(unreadable(item));
    all = plus(all, value.startsWith('[') ? parseRanges(name, value) : parseScalar(name, value));
  }
  return all;
}

function unreadable(item: string): string {
  return `'${item}' is no resource of the local Mesos: name:number or name:[first-last,...], unreserved`;
}

function parseScalar(name: string, value: string): Resources {
  if (!/^\d+(\.\d+)?$/.test(value)) throw new RangeError(unreadable(`${name}:${value}`));
  return scalar(name, Number(value));
}

function parseRanges(name: string, value: string): Resources {
  const inside = /^\[(.*)\]$/.exec(value)?.[1] ?? '';
  const ranges = inside.split(',').map((text) => {
    const match = /^\s*(\d+)\s*-\s*(\d+)\s*$/.exec(text);
    if (match === null) throw new RangeError(unreadable(`${name}:${value}`));
    return { begin: Number(match[1]), end: Number(match[2]) };
  });
  return rangesOf(name, ranges);
}

function scalar(name: string, value: number): Resources {
  const amount = Math.round(value * thousandth);
  return amount > 0 ? { scalars: new Map([[name, amount]]), ranges: new Map() } : nothing;
}

function rangesOf(name: string, ranges: readonly ValueRange[]): Resources {
  const clean = joined(ranges.filter((range) => range.begin <= range.end));
  return clean.length > 0 ? { scalars: new Map(), ranges: new Map([[name, clean]]) } : nothing;
}

/** Resources of a message, or the sentence why they are not ones that this Mesos can give. */
export function fromMesos(list: readonly Resource[]): Resources | string {
  let all = nothing;
  for (const resource of list) {
    const read = readOne(resource);
    if (typeof read === 'string') return read;
    all = plus(all, read);
  }
  return all;
}

function readOne(resource: Resource): Resources | string {
  const { name } = resource;
  const reserved = (resource.role ?? '*') !== '*' || (resource.reservations ?? []).length > 0;
  if (reserved || resource.reservation !== undefined) return `Resource '${name}' is reserved`;
  if (resource.disk !== undefined) return `Resource '${name}' names a disk`;
  if (resource.revocable !== undefined) return `Resource '${name}' is revocable`;
  if (resource.shared !== undefined) return `Resource '${name}' is shared`;
  if (resource.type === 'SCALAR') {
    const value = resource.scalar?.value;
    if (value === undefined || value < 0) return `Invalid scalar resource '${name}'`;
    return scalar(name, value);
  }
  if (resource.type === 'RANGES') return rangesOf(name, resource.ranges?.range ?? []);
  return `Unsupported type of resource '${name}'`;
}

/** Writes resources in the order of the recordings: ranges first. */
export function toMesos(resources: Resources, form: ResourceForm): readonly Resource[] {
  const more = {
    ...(form.withRole ? { role: '*' } : {}),
    ...(form.allocatedTo === undefined ? {} : { allocation_info: { role: form.allocatedTo } }),
  };
  const ranges = [...resources.ranges].map(
    ([name, range]): Resource => ({ name, type: 'RANGES', ranges: { range }, ...more }),
  );
  const scalars = [...resources.scalars].map(
    ([name, amount]): Resource => ({
      name,
      type: 'SCALAR',
      scalar: { value: amount / thousandth },
      ...more,
    }),
  );
  return [...ranges, ...scalars];
}

/** As Mesos' messages say it: `cpus(allocated: *):0.1; ports(allocated: *):[31000-31999]`. */
export function describe(resources: Resources, role: string): string {
  const label = (name: string): string => `${name}(allocated: ${role})`;
  const ranges = [...resources.ranges].map(([name, list]) => `${label(name)}:${shownRanges(list)}`);
  const scalars = [...resources.scalars].map(
    ([name, amount]) => `${label(name)}:${amount / thousandth}`,
  );
  return [...ranges, ...scalars].join('; ');
}

export function shownRanges(ranges: readonly ValueRange[]): string {
  return `[${ranges.map((range) => `${range.begin}-${range.end}`).join(', ')}]`;
}

/** The largest part of the whole that is taken, over all scalars: what fairness is measured by. */
export function dominantShare(taken: Resources, whole: Resources): number {
  let share = 0;
  for (const [name, amount] of taken.scalars) {
    const all = whole.scalars.get(name) ?? 0;
    if (all > 0) share = Math.max(share, amount / all);
  }
  return share;
}

function joined(ranges: readonly ValueRange[]): readonly ValueRange[] {
  const sorted = [...ranges].sort((a, b) => a.begin - b.begin);
  const result: ValueRange[] = [];
  for (const range of sorted) {
    const last = result.at(-1);
    if (last !== undefined && range.begin <= last.end + 1) {
      result[result.length - 1] = { begin: last.begin, end: Math.max(last.end, range.end) };
    } else {
      result.push({ begin: range.begin, end: range.end });
    }
  }
  return result;
}

function without(
  ranges: readonly ValueRange[],
  less: readonly ValueRange[],
): readonly ValueRange[] {
  let left = [...ranges];
  for (const cut of less) {
    left = left.flatMap((range) => {
      if (cut.end < range.begin || cut.begin > range.end) return [range];
      const parts: ValueRange[] = [];
      if (cut.begin > range.begin) parts.push({ begin: range.begin, end: cut.begin - 1 });
      if (cut.end < range.end) parts.push({ begin: cut.end + 1, end: range.end });
      return parts;
    });
  }
  return left;
}
