import { createHash } from 'node:crypto';
import type { Clock } from '#runtime/clock.ts';

/** One thing that happened. `about` is rendered only when somebody reads the time line. */
export interface Happening {
  readonly at: number;
  readonly who: string;
  readonly what: string;
  readonly about: () => string;
}

const mostKept = 20_000;
/** Who brings unrest into the world. */
const injected: ReadonlySet<string> = new Set(['fault', 'asked', 'lag']);
/** What a reader of the time line always sees. */
const turning: ReadonlySet<string> = new Set(['fault', 'asked', 'heals', 'law']);

/** Everything that happened, as a digest over all of it and a time line of the last part. */
export class History {
  readonly #clock: Clock;
  readonly #start: number;
  readonly #hash = createHash('sha256');
  readonly #faults = new Map<string, number>();
  #lines: Happening[] = [];
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#start = clock.now();
  }

  /** `exact` goes into the digest beside `who` and `what`; `about` is for people. */
  note(who: string, what: string, exact: string | Uint8Array, about?: () => string): void {
    const at = this.#clock.now();
    this.#hash.update(`${at}|${who}|${what}|`).update(exact).update('\n');
    this.#count += 1;
    if (injected.has(who)) this.#faults.set(what, (this.#faults.get(what) ?? 0) + 1);
    const text = about ?? (() => (typeof exact === 'string' ? exact : `${exact.length} bytes`));
    this.#lines.push({ at, who, what, about: text });
    if (this.#lines.length > 2 * mostKept) this.#lines = this.#lines.slice(-mostKept);
  }

  /** How often each kind of fault did something, and what people asked. */
  get faults(): ReadonlyMap<string, number> {
    return this.#faults;
  }

  get count(): number {
    return this.#count;
  }

  /** The digest of everything until now. */
  digest(): string {
    return this.#hash.copy().digest('hex').slice(0, 32);
  }

  /** The last lines that `mentions` every wanted word, oldest first. */
  timeline(most: number, about: readonly string[] = []): readonly string[] {
    const found: string[] = [];
    for (let index = this.#lines.length - 1; index >= 0 && found.length < most; index -= 1) {
      const line = this.#lines[index];
      if (line === undefined) continue;
      const text = this.#render(line);
      const always = about.length === 0 ? !text.includes('.tick ') : turning.has(line.who);
      if (always || about.some((word) => text.includes(word))) {
        found.push(text);
      }
    }
    return found.reverse();
  }

  #render(line: Happening): string {
    const seconds = ((line.at - this.#start) / 1000).toFixed(4).padStart(10);
    return `${seconds} ${line.who.padEnd(14)} ${line.what.padEnd(10)} ${line.about()}`;
  }
}
