import type { Part } from './part.ts';

/** How everything ended: the exit code and one sentence. */
export interface Outcome {
  readonly code: number;
  readonly why: string;
}

/** What is stopped first stands last: a JobManager must not see its servers go. */
export const ranks = { server: 0, gateway: 1, functions: 2, jobManager: 3 } as const;
export type Rank = (typeof ranks)[keyof typeof ranks];

interface Started {
  readonly part: Part;
  readonly rank: Rank;
  readonly graceMs: number;
}

/** Everything that was started here; it is stopped rank by rank. */
export class Stack {
  readonly #started: Started[] = [];
  readonly #end = Promise.withResolvers<Outcome>();
  #stopped: Promise<void> | undefined;

  /** Starts a part, unless everything is being stopped already. @throws Error as the part's start does. */
  start(part: Part, rank: Rank, graceMs: number): void {
    if (this.stopping) return;
    part.start();
    this.#started.push({ part, rank, graceMs });
  }

  get isEmpty(): boolean {
    return this.#started.length === 0;
  }

  get stopping(): boolean {
    return this.#stopped !== undefined;
  }

  /** Asks for the end of everything; the first reason counts. */
  finish(outcome: Outcome): void {
    this.#end.resolve(outcome);
  }

  /** Resolves when something has asked for the end. */
  get ended(): Promise<Outcome> {
    return this.#end.promise;
  }

  /** Stops every part, the highest rank first; nothing can be started after this. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll();
    return this.#stopped;
  }

  async #stopAll(): Promise<void> {
    const downwards = Object.values(ranks).sort((a, b) => b - a);
    for (const rank of downwards) {
      const parts = this.#started.filter((started) => started.rank === rank);
      await Promise.all(parts.map(({ part, graceMs }) => part.stop(graceMs)));
    }
  }
}
