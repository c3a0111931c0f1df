import { StoreRefusedError } from '../errors.ts';
import type { StoreOp } from './store.ts';

/** The most bytes that one record may hold. */
export const mostRecordBytes = 512 * 1024;
/** The most bytes of one transaction: the server's limit is 1 MiB and lies on the whole packet. */
export const mostTransactionBytes = 900 * 1024;

/** Of each step beside its path and data: headers, lengths, access list. */
const stepBytes = 64;

/** @throws StoreRefusedError naming path and size. */
export function checkRecord(path: string, data: string): number {
  const bytes = Buffer.byteLength(data);
  if (bytes > mostRecordBytes) {
    throw new StoreRefusedError(
      `record ${path} holds ${bytes} bytes; at most ${mostRecordBytes} are allowed`,
    );
  }
  return bytes;
}

/** @throws StoreRefusedError naming path and size. */
export function checkTransaction(ops: readonly StoreOp[], chroot: string): void {
  let bytes = 0;
  let largest = { path: '', bytes: -1 };
  for (const op of ops) {
    const data = op.kind === 'create' || op.kind === 'set' ? checkRecord(op.path, op.data) : 0;
    bytes += data + Buffer.byteLength(chroot) + Buffer.byteLength(op.path) + stepBytes;
    if (data > largest.bytes) largest = { path: op.path, bytes: data };
  }
  if (bytes > mostTransactionBytes) {
    throw new StoreRefusedError(
      `a transaction of ${ops.length} steps takes ${bytes} bytes; at most ${mostTransactionBytes} ` +
        `are allowed (the largest record is ${largest.path} with ${largest.bytes})`,
    );
  }
}
