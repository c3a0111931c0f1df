import type { Clock, Timer } from '#runtime/clock.ts';
import type { History } from './history.ts';
import type { Random } from './random.ts';
import type { VirtualTime } from './time.ts';

/** What every part of the simulated world shares. */
export interface World {
  readonly time: VirtualTime;
  readonly random: Random;
  readonly history: History;
}

/**
 * One process: everything that reaches it passes `deliver`, so that it can be killed (nothing
 * reaches it any more, what it waits for never comes) or frozen (everything reaches it later).
 */
export class Life {
  readonly name: string;
  readonly world: World;
  readonly clock: Clock;
  readonly random: Random;
  readonly #held: (() => void)[] = [];
  readonly #onDeath: (() => void)[] = [];
  readonly #onFreeze: ((frozen: boolean) => void)[] = [];
  #alive = true;
  #frozen = false;
  #skewMs = 0;
  /** The effect at which the process dies; undefined: it lives on. */
  #fatal: { readonly effect: number; readonly when: 'before' | 'after' } | undefined;
  #effects = 0;

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
    this.random = world.random.fork(name);
    this.clock = {
      now: () => Math.floor(world.time.now() + this.#skewMs),
      elapsed: () => world.time.now(),
      after: (delayMs, action) => this.#after(delayMs, action),
    };
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Somebody sets its clock: it leaps to so far ahead. */
  skew(skewMs: number): void {
    this.#skewMs = skewMs;
    this.world.history.note('fault', 'clock skew', `${this.name} ${skewMs} ms`);
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  #after(delayMs: number, action: () => void): Timer {
    return this.world.time.after(delayMs, () => this.deliver(action));
  }

  /** Runs what reaches the process from outside: now, at the thaw, or never. */
  deliver(action: () => void): void {
    if (!this.#alive) return;
    if (this.#frozen) this.#held.push(action);
    else action();
  }

  onDeath(action: () => void): void {
    this.#onDeath.push(action);
  }

  onFreeze(action: (frozen: boolean) => void): void {
    this.#onFreeze.push(action);
  }

  crash(why: string): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#held.length = 0;
    this.world.history.note('fault', 'crash', `${this.name}: ${why}`);
    for (const action of this.#onDeath) action();
  }

  freeze(durationMs: number): void {
    if (!this.#alive || this.#frozen) return;
    this.world.history.note('fault', 'freeze', `${this.name} for ${durationMs} ms`);
    for (const action of this.#onFreeze) action(true);
    this.#frozen = true;
    this.world.time.after(durationMs, () => this.#thaw());
  }

  #thaw(): void {
    if (!this.#alive) return;
    this.#frozen = false;
    this.world.history.note('heals', 'thaw', this.name);
    for (const action of this.#onFreeze) action(false);
    const held = this.#held.splice(0);
    for (const action of held) this.world.time.after(0, () => this.deliver(action));
  }

  /** Lets the process die at the `effects`-th effect from now, before or after it. */
  dieAt(effects: number, when: 'before' | 'after'): void {
    this.#fatal = { effect: this.#effects + effects, when };
  }

  /** It will not die of what was decided before. */
  spare(): void {
    this.#fatal = undefined;
  }

  /**
   * Every effect of the process on the world passes here. Undefined: the process died before it
   * and the effect never happened. Where it dies after it, nobody hears what came of it.
   */
  effect<T>(name: string, act: () => T): T | undefined {
    if (!this.#alive) return undefined;
    this.#effects += 1;
    const fatal = this.#fatal?.effect === this.#effects ? this.#fatal : undefined;
    if (fatal?.when === 'before') {
      this.crash(`before ${name}`);
      return undefined;
    }
    const result = act();
    if (fatal !== undefined) this.crash(`after ${name}`);
    return result;
  }
}

/** What a dead process waits for. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}
