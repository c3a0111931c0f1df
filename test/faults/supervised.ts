import { lastLines, type Part, saysReady } from '#test/world/part.ts';

const pauseMs = 300;

/** An end that nobody has brought about. */
export interface OwnEnd {
  readonly name: string;
  readonly how: number | string;
  /** Whether it had said that it is up. */
  readonly wasReady: boolean;
  readonly lastLines: string;
}

/** A process that is started again whenever it ends, as a supervisor would. */
export class Supervised {
  readonly part: Part;
  readonly ownEnds: OwnEnd[] = [];
  #starts = 1;
  #killed = false;
  #stopping = false;
  #frozen = false;

  constructor(part: Part) {
    this.part = part;
    void this.#watch();
  }

  get starts(): number {
    return this.#starts;
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  async kill(): Promise<void> {
    this.#killed = this.part.running;
    await this.part.kill('SIGKILL');
    this.#frozen = false;
  }

  freeze(): void {
    this.#frozen = true;
    void this.part.kill('SIGSTOP');
  }

  thaw(): void {
    if (!this.#frozen) return;
    this.#frozen = false;
    void this.part.kill('SIGCONT');
  }

  /** It may end for good from now on. */
  leave(): void {
    this.#stopping = true;
    this.thaw();
  }

  async #watch(): Promise<void> {
    for (;;) {
      const how = await this.part.ended;
      if (this.#stopping) return;
      if (!this.#killed) await this.#note(how);
      this.#killed = false;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      if (this.#stopping) return;
      this.#starts += 1;
      await this.part.restart();
    }
  }

  async #note(how: number | string): Promise<void> {
    const log = await this.part.log();
    const { name } = this.part;
    this.ownEnds.push({ name, how, wasReady: saysReady(log), lastLines: lastLines(log, 8) });
  }
}
