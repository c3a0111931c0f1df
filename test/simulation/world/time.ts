import type { Clock, Timer } from '#runtime/clock.ts';

interface Entry {
  readonly at: number;
  readonly order: number;
  action: (() => void) | undefined;
}

/** More events than this within one instant are a loop that never lets time go on. */
const mostPerInstant = 50_000;

/**
 * Virtual time: takes the earliest event, lets everything it sets off come to rest, then the next.
 * Nothing happens between two events, so one seed has one history.
 */
export class VirtualTime implements Clock {
  readonly #heap: Entry[] = [];
  #now: number;
  #order = 0;
  #instant = 0;
  /** Events taken so far. */
  taken = 0;

  constructor(start: number) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  elapsed(): number {
    return this.#now;
  }

  after(delayMs: number, action: () => void): Timer {
    const entry: Entry = {
      at: this.#now + Math.max(0, delayMs),
      order: this.#order,
      action,
    };
    this.#order += 1;
    push(this.#heap, entry);
    return {
      cancel: () => {
        entry.action = undefined;
      },
    };
  }

  /** Runs until `end` (ms) or until `done` says so. */
  async run(end: number, done: () => boolean = () => false): Promise<void> {
    await settle();
    while (!done()) {
      const entry = this.#heap[0];
      if (entry === undefined || entry.at > end) {
        this.#now = Math.max(this.#now, end);
        return;
      }
      pop(this.#heap);
      if (entry.action === undefined) continue;
      this.#advance(entry.at);
      entry.action();
      await settle();
    }
  }

  #advance(at: number): void {
    this.taken += 1;
    this.#instant = at === this.#now ? this.#instant + 1 : 0;
    this.#now = at;
    if (this.#instant > mostPerInstant) {
      throw new Error(`time stands still at ${at}: ${mostPerInstant} events in one instant`);
    }
  }
}

/** A tick of the process comes only when every promise that can go on has gone on. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}

function before(left: Entry, right: Entry): boolean {
  return left.at < right.at || (left.at === right.at && left.order < right.order);
}

function push(heap: Entry[], entry: Entry): void {
  let index = heap.length;
  heap.push(entry);
  while (index > 0) {
    const above = (index - 1) >> 1;
    const parent = heap[above];
    if (parent === undefined || before(parent, entry)) break;
    heap[index] = parent;
    index = above;
  }
  heap[index] = entry;
}

function pop(heap: Entry[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let index = 0;
  for (;;) {
    const left = heap[2 * index + 1];
    const right = heap[2 * index + 2];
    if (left === undefined) break;
    const takesRight = right !== undefined && before(right, left);
    const child = takesRight ? right : left;
    if (before(last, child)) break;
    heap[index] = child;
    index = 2 * index + (takesRight ? 2 : 1);
  }
  heap[index] = last;
}
