import { DreyError, StaleRecordError, StoreOutcomeUnknownError } from '../errors.ts';
import type { Store, StoreOp } from '../store/store.ts';

/** What one transaction may hold: below ZooKeeper's packet limit, with room to spare. */
const maxOps = 500;
const maxBytes = 900_000;

/** Whether the writes fit one transaction. */
export function fits(writes: readonly StoreOp[]): boolean {
  if (writes.length > maxOps) return false;
  const bytes = writes.reduce(
    (sum, op) => sum + op.path.length + ('data' in op ? Buffer.byteLength(op.data) : 0),
    0,
  );
  return bytes <= maxBytes;
}

/**
 * Commits the writes; `lost` where another was quicker. A write in doubt is settled by reading back
 * one record: it carries the id of the write that made it.
 */
export async function commit(
  store: Store,
  writes: readonly StoreOp[],
  op: string,
  barrierPath: string,
): Promise<'applied' | 'lost'> {
  try {
    await store.commit(writes);
    return 'applied';
  } catch (error) {
    if (error instanceof StaleRecordError) return 'lost';
    if (!(error instanceof StoreOutcomeUnknownError)) throw error;
    await barrier(store, barrierPath);
    return (await wasApplied(store, writes, op)) ? 'applied' : 'lost';
  }
}

/** After this, reads of the same session see everything that was committed before it. */
export async function barrier(store: Store, path: string): Promise<void> {
  for (;;) {
    const read = await store.read(path);
    if (read === undefined) return;
    try {
      await store.commit([{ kind: 'check', path, version: read.version }]);
      return;
    } catch (error) {
      const harmless = error instanceof DreyError && error.remedy === 'reread';
      if (!harmless) throw error;
    }
  }
}

async function wasApplied(store: Store, writes: readonly StoreOp[], op: string): Promise<boolean> {
  const marked = writes.find((write) => 'data' in write && opOf(write.data) === op);
  if (marked !== undefined) {
    const read = await store.read(marked.path);
    return read !== undefined && opOf(read.data) === op;
  }
  const removed = writes.find((write) => write.kind === 'remove');
  return removed !== undefined && (await store.read(removed.path)) === undefined;
}

function opOf(data: string): string | undefined {
  if (!data.startsWith('{')) return undefined;
  try {
    return (JSON.parse(data) as { op?: string }).op;
  } catch {
    // Not a record of ours: it carries no id.
    return undefined;
  }
}
