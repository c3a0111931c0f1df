import type { Store, StoreOp } from '#runtime/store/store.ts';
import { rewriting } from './variants/seams.ts';

/** A field that only a newer version of drey knows. */
export const laterField = 'later';

/** The store of a copy of a newer version: its records say more than this version knows. */
export function newer(store: Store): Store {
  return rewriting(store, (op) => withField(op, (record) => ({ ...record, [laterField]: 1 })));
}

/** Drops what this version does not know, as none may. */
export function narrow(op: StoreOp): StoreOp {
  return withField(op, ({ [laterField]: _later, ...record }) => record);
}

function withField(
  op: StoreOp,
  change: (record: Readonly<Record<string, unknown>>) => object,
): StoreOp {
  if (!('data' in op) || !op.data.startsWith('{')) return op;
  return { ...op, data: JSON.stringify(change(JSON.parse(op.data))) };
}
