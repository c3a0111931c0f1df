import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One change of one node. */
export interface Change {
  readonly kind: 'create' | 'set' | 'delete';
  readonly path: string;
  /** UTF-8; empty for a delete. */
  readonly data: string;
}

/** One committed transaction of ZooKeeper. */
export interface Commit {
  readonly zxid: bigint;
  /** When the leader took it in, ms since 1970: before any server had it. */
  readonly at: number;
  readonly changes: readonly Change[];
}

/** Types of `org.apache.zookeeper.ZooDefs.OpCode` that change nodes with data. */
const type = { create: 1, delete: 2, setData: 5, multi: 14, create2: 15, error: -1 } as const;
const magic = 'ZKLG';
const endOfRecord = 0x42;

/**
 * What an ensemble has committed, out of the transaction logs of its servers, which must have come
 * together again: a transaction counts where a majority has it (a leader that died may have kept one
 * that nobody else took).
 */
export function readCommits(dataDirs: readonly string[]): readonly Commit[] {
  const found = new Map<bigint, { readonly commit: Commit; servers: number }>();
  for (const dir of dataDirs) {
    for (const commit of readServer(dir).values()) {
      const known = found.get(commit.zxid) ?? { commit, servers: 0 };
      known.servers += 1;
      found.set(commit.zxid, known);
    }
  }
  return [...found.values()]
    .filter(({ servers }) => servers > dataDirs.length / 2)
    .map(({ commit }) => commit)
    .sort((a, b) => (a.zxid < b.zxid ? -1 : 1));
}

function readServer(dataDir: string): ReadonlyMap<bigint, Commit> {
  const folder = join(dataDir, 'version-2');
  const commits = new Map<bigint, Commit>();
  for (const name of readdirSync(folder).filter((file) => file.startsWith('log.'))) {
    for (const commit of readLog(readFileSync(join(folder, name))))
      commits.set(commit.zxid, commit);
  }
  return commits;
}

/** One log file: a header, then checksum, transaction and an end byte, then zeros that are kept free. */
export function* readLog(bytes: Buffer): Generator<Commit> {
  const file = new Jute(bytes);
  if (bytes.length < 16) return;
  if (file.take(4).toString('latin1') !== magic) throw new Error('no transaction log of ZooKeeper');
  file.take(12);
  while (file.left > 12) {
    file.long();
    const entry = file.buffer();
    // Free room, or a record that was being written when the server was killed.
    if (entry.length === 0 || file.left === 0 || file.take(1)[0] !== endOfRecord) return;
    yield readEntry(new Jute(entry));
  }
}

function readEntry(entry: Jute): Commit {
  entry.long();
  entry.int();
  const zxid = entry.long();
  const at = Number(entry.long());
  return { zxid, at, changes: readChanges(entry.int(), entry) };
}

function readChanges(kind: number, body: Jute): readonly Change[] {
  switch (kind) {
    case type.create:
    case type.create2:
      return [{ kind: 'create', path: body.text(), data: body.text() }];
    case type.setData:
      return [{ kind: 'set', path: body.text(), data: body.text() }];
    case type.delete:
      return [{ kind: 'delete', path: body.text(), data: '' }];
    case type.multi:
      return readMulti(body);
    default:
      // Sessions, checks, and transactions that failed.
      return [];
  }
}

/** One that failed keeps what came before its failing part, and nothing of it is applied. */
function readMulti(body: Jute): readonly Change[] {
  const parts = Array.from({ length: body.int() }, () => {
    return { kind: body.int(), body: new Jute(body.buffer()) };
  });
  if (parts.some(({ kind }) => kind === type.error)) return [];
  return parts.flatMap((part) => readChanges(part.kind, part.body));
}

/** Hadoop's record format: big endian, lengths before texts; -1 is a missing one. */
class Jute {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(count: number): Buffer {
    const taken = this.#bytes.subarray(this.#at, this.#at + count);
    this.#at += count;
    return taken;
  }

  int(): number {
    return this.take(4).readInt32BE();
  }

  long(): bigint {
    return this.take(8).readBigInt64BE();
  }

  /** Empty where it is missing or reaches beyond the end. */
  buffer(): Buffer {
    const length = this.int();
    if (length <= 0 || length > this.left) return Buffer.alloc(0);
    return this.take(length);
  }

  text(): string {
    return this.buffer().toString('utf8');
  }
}
