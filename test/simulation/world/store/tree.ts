/** One node of the simulated ZooKeeper. */
export interface TreeNode {
  readonly data: string;
  readonly version: number;
  /** The transaction that changed its data last. */
  readonly changedBy: number;
  /** The session that owns it, when it is ephemeral. */
  readonly owner: number | undefined;
}

/** One step as the servers apply it; `version` -1 is any. */
export type TreeOp =
  | {
      readonly kind: 'create';
      readonly path: string;
      readonly data: string;
      readonly owner?: number;
      readonly sequential?: boolean;
    }
  | { readonly kind: 'set'; readonly path: string; readonly data: string; readonly version: number }
  | { readonly kind: 'remove'; readonly path: string; readonly version: number }
  | { readonly kind: 'check'; readonly path: string; readonly version: number };

/** What became of a transaction: the paths made, or the first step that did not hold. */
export type TreeResult =
  | { readonly ok: true; readonly paths: readonly string[] }
  | { readonly ok: false; readonly path: string; readonly reason: string };

export const ephemeralParent = 'an ephemeral has no children';
export const notEmpty = 'not empty';

/** The nodes of one server: a plain map, with children kept apart in order of their parents. */
export class Tree {
  readonly #nodes = new Map<string, TreeNode>();
  readonly #children = new Map<string, Set<string>>();
  readonly #sequence = new Map<string, number>();

  constructor() {
    this.#nodes.set('/', { data: '', version: 0, changedBy: 0, owner: undefined });
  }

  /** The same nodes, apart from this. */
  copy(): Tree {
    const copy = new Tree();
    for (const [path, node] of this.#nodes) copy.#nodes.set(path, node);
    for (const [path, names] of this.#children) copy.#children.set(path, new Set(names));
    for (const [path, number] of this.#sequence) copy.#sequence.set(path, number);
    return copy;
  }

  get paths(): Iterable<string> {
    return this.#nodes.keys();
  }

  get(path: string): TreeNode | undefined {
    return this.#nodes.get(path);
  }

  children(path: string): readonly string[] {
    return [...(this.#children.get(path) ?? [])].sort();
  }

  ownedBy(session: number): readonly string[] {
    return [...this.#nodes].filter(([, node]) => node.owner === session).map(([path]) => path);
  }

  /** Applies all steps or none; the same steps give the same result on every server. */
  apply(zxid: number, ops: readonly TreeOp[]): TreeResult {
    const undo: (() => void)[] = [];
    const paths: string[] = [];
    for (const op of ops) {
      const failed = this.#step(zxid, op, undo, paths);
      if (failed !== undefined) {
        for (const back of undo.reverse()) back();
        return { ok: false, path: op.path, reason: failed };
      }
    }
    return { ok: true, paths };
  }

  #step(zxid: number, op: TreeOp, undo: (() => void)[], paths: string[]): string | undefined {
    if (op.kind === 'create') return this.#create(zxid, op, undo, paths);
    paths.push(op.path);
    const node = this.#nodes.get(op.path);
    if (node === undefined) return 'no node';
    if (op.version !== -1 && op.version !== node.version) return 'bad version';
    if (op.kind === 'check') return undefined;
    if (op.kind === 'remove') return this.#remove(op.path, node, undo);
    this.#nodes.set(op.path, {
      ...node,
      data: op.data,
      version: node.version + 1,
      changedBy: zxid,
    });
    undo.push(() => this.#nodes.set(op.path, node));
    return undefined;
  }

  #create(
    zxid: number,
    op: Extract<TreeOp, { kind: 'create' }>,
    undo: (() => void)[],
    paths: string[],
  ): string | undefined {
    const parent = parentOf(op.path);
    const above = this.#nodes.get(parent);
    if (above === undefined) return 'no node above';
    if (above.owner !== undefined) return ephemeralParent;
    const number = this.#sequence.get(parent) ?? 0;
    const path = op.sequential === true ? op.path + String(number).padStart(10, '0') : op.path;
    if (this.#nodes.has(path)) return 'node exists';
    paths.push(path);
    this.#sequence.set(parent, number + 1);
    this.#add(path, { data: op.data, version: 0, changedBy: zxid, owner: op.owner });
    undo.push(() => {
      this.#drop(path);
      this.#sequence.set(parent, number);
    });
    return undefined;
  }

  #remove(path: string, node: TreeNode, undo: (() => void)[]): string | undefined {
    if ((this.#children.get(path)?.size ?? 0) > 0) return notEmpty;
    this.#drop(path);
    undo.push(() => this.#add(path, node));
    return undefined;
  }

  #add(path: string, node: TreeNode): void {
    this.#nodes.set(path, node);
    const parent = parentOf(path);
    const siblings = this.#children.get(parent) ?? new Set();
    siblings.add(path.slice(path.lastIndexOf('/') + 1));
    this.#children.set(parent, siblings);
  }

  #drop(path: string): void {
    this.#nodes.delete(path);
    this.#children.get(parentOf(path))?.delete(path.slice(path.lastIndexOf('/') + 1));
  }
}

export function parentOf(path: string): string {
  const cut = path.lastIndexOf('/');
  return cut <= 0 ? '/' : path.slice(0, cut);
}
