import type { World } from './life.ts';
import type { Random } from './random.ts';

/** One direction of a connection: in order, each part some time on its way; cut, all of it is lost. */
export class Pipe {
  readonly #world: World;
  readonly #random: Random;
  readonly #latencyMs: () => number;
  #open = true;
  #at = 0;

  constructor(world: World, random: Random, latencyMs: () => number) {
    this.#world = world;
    this.#random = random;
    this.#latencyMs = latencyMs;
  }

  get open(): boolean {
    return this.#open;
  }

  send(arrive: () => void): void {
    const now = this.#world.time.now();
    this.#at = Math.max(this.#at, now + this.#random.span(0.05, this.#latencyMs()));
    this.#world.time.after(this.#at - now, () => {
      if (this.#open) arrive();
    });
  }

  /** Holds up everything that is sent from now on. */
  stall(durationMs: number): void {
    this.#at = Math.max(this.#at, this.#world.time.now() + durationMs);
  }

  cut(): void {
    this.#open = false;
  }
}
