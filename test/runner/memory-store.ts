import { StaleRecordError } from '#runtime/errors.ts';
import type { Store, Stored, StoreOp } from '#runtime/store/store.ts';

/** A store in memory whose commits and reads a test can disturb. */
export class MemoryStore implements Store {
  readonly session = 'connected';
  readonly sessionTimeoutMs = 10_000;
  readonly lastContact = 0;
  readonly records = new Map<string, { data: string; version: number }>();
  /** What was asked, in order: `read /a`, `check /a`, `create /a`, … */
  readonly calls: string[] = [];
  /** Called before a commit is applied; what it throws is what the caller sees. */
  beforeCommit: (ops: readonly StoreOp[]) => void | Promise<void> = () => {};
  afterCommit: (ops: readonly StoreOp[]) => void = () => {};
  beforeRead: (path: string) => void = () => {};

  async read(path: string): Promise<Stored | undefined> {
    this.calls.push(`read ${path}`);
    this.beforeRead(path);
    const found = this.records.get(path);
    return found === undefined ? undefined : { path, ...found };
  }

  async list(path: string): Promise<readonly string[]> {
    this.beforeRead(path);
    const prefix = `${path}/`;
    return [...this.records.keys()]
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length))
      .toSorted();
  }

  async commit(ops: readonly StoreOp[]): Promise<void> {
    this.calls.push(...ops.map((op) => `${op.kind} ${op.path}`));
    await this.beforeCommit(ops);
    for (const op of ops) {
      const found = this.records.get(op.path);
      const holds = op.kind === 'create' ? found === undefined : found?.version === op.version;
      if (!holds) throw new StaleRecordError(op.path);
    }
    for (const op of ops) {
      if (op.kind === 'create') this.records.set(op.path, { data: op.data, version: 0 });
      if (op.kind === 'set') {
        this.records.set(op.path, { data: op.data, version: op.version + 1 });
      }
      if (op.kind === 'remove') this.records.delete(op.path);
    }
    this.afterCommit(ops);
  }

  async ensure(path: string): Promise<void> {
    if (!this.records.has(path)) this.records.set(path, { data: '', version: 0 });
  }

  async createEphemeralSequential(prefix: string, data: string): Promise<string> {
    const path = `${prefix}${String(this.records.size).padStart(10, '0')}`;
    this.records.set(path, { data, version: 0 });
    return path;
  }

  async discard(path: string): Promise<void> {
    this.records.delete(path);
  }

  async watch(path: string): Promise<Stored | undefined> {
    return this.read(path);
  }

  async follow(path: string): Promise<Stored | undefined> {
    return this.read(path);
  }

  async followList(path: string): Promise<readonly string[]> {
    return this.list(path);
  }

  onSession(): () => void {
    return () => {};
  }

  async close(): Promise<void> {}
}
