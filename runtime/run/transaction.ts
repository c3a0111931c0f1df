import { DreyError, StaleRecordError, StoreOutcomeUnknownError } from '../errors.ts';
import type { Store, StoreOp } from '../store/store.ts';

/** What one transaction may hold: below ZooKeeper's packet limit, with room to spare. */
const maxOps = 500;
const maxBytes = 900_000;
/** Kind, version and lengths of one step on the wire, at most. */
const bytesPerOp = 64;

/** Whether the writes fit one transaction. */
export function fits(writes: readonly StoreOp[]): boolean {
  if (writes.length > maxOps) return false;
  const bytes = writes.reduce((sum, op) => sum + bytesPerOp + sizeOf(op), 0);
  return bytes <= maxBytes;
}

function sizeOf(op: StoreOp): number {
  return Buffer.byteLength(op.path) + ('data' in op ? Buffer.byteLength(op.data) : 0);
}

/** How a doubtful write is waited for until the store answers again. */
export type Wait = () => Promise<void>;

/**
 * Commits the writes; `lost` where another was quicker. A write in doubt is settled by reading back
 * before anything else is decided, however long the store is away: decided anew from what it may
 * have written, its effects would be forgotten.
 * @throws StoreUnavailableError, StoreRefusedError nothing was applied
 */
export async function commit(
  store: Store,
  writes: readonly StoreOp[],
  op: string,
  barrierPath: string,
  wait: Wait,
): Promise<'applied' | 'lost'> {
  try {
    await store.commit(writes);
    return 'applied';
  } catch (error) {
    if (error instanceof StaleRecordError) return 'lost';
    if (!(error instanceof StoreOutcomeUnknownError)) throw error;
  }
  for (;;) {
    try {
      await barrier(store, barrierPath);
      return (await wasApplied(store, writes, op)) ? 'applied' : 'lost';
    } catch (error) {
      if (!(error instanceof DreyError && error.remedy === 'retry')) throw error;
      await wait();
    }
  }
}

/**
 * After this, reads of the same session see everything that was committed before it. A refused check
 * is ordered among the transactions like one that holds, so either answer will do.
 */
export async function barrier(store: Store, path: string): Promise<void> {
  const read = await store.read(path);
  try {
    await store.commit([{ kind: 'check', path, version: read?.version ?? 0 }]);
  } catch (error) {
    if (!(error instanceof StaleRecordError)) throw error;
  }
}

/** A record carries the id of the write that made it; one that is still there proves the whole transaction. */
async function wasApplied(store: Store, writes: readonly StoreOp[], op: string): Promise<boolean> {
  const marked = writes.filter((write) => 'data' in write && opOf(write.data) === op);
  for (const write of marked) {
    const read = await store.read(write.path);
    if (read !== undefined && opOf(read.data) === op) return true;
  }
  if (marked.length > 0) return false;
  // Only index nodes: whoever removed or made them, they are as this decision wants them.
  for (const write of writes) {
    if (write.kind === 'check') continue;
    const there = (await store.read(write.path)) !== undefined;
    if (there !== (write.kind !== 'remove')) return false;
  }
  return true;
}

function opOf(data: string): string | undefined {
  if (!data.startsWith('{')) return undefined;
  try {
    const record: unknown = JSON.parse(data);
    if (typeof record !== 'object' || record === null || !('op' in record)) return undefined;
    return typeof record.op === 'string' ? record.op : undefined;
  } catch {
    // Not a record of ours: it carries no id.
    return undefined;
  }
}
