import type { Life } from '../life.ts';
import type { Random } from '../random.ts';
import type { Ensemble, LogEntry, Server } from './ensemble.ts';

/** One call of a client: served at the server, which gives what is handed back with the answer. */
export type Call =
  | { readonly kind: 'read'; serve(server: Server): () => void; lost(): void }
  | {
      readonly kind: 'write';
      /** Proposes; undefined where the session is no more. */
      propose(): LogEntry | undefined;
      answer(entry: LogEntry): void;
      lost(): void;
    };

/** What a client learns from its connection besides answers. */
export interface LinkClient {
  saw(zxid: number): void;
  /** The server takes nothing from this session any more and hangs up. */
  refused(): void;
}

/**
 * One connection of a client to one server: calls are served in order, answers and watch events
 * come in order, and what is under way when it breaks is lost or applied, as the seed says.
 */
export class StoreLink {
  readonly server: Server;
  alive = true;
  #muted = false;
  readonly #ensemble: Ensemble;
  readonly #life: Life;
  readonly #random: Random;
  readonly #client: LinkClient;
  readonly #waiting: Call[] = [];
  readonly #unanswered = new Set<Call>();
  readonly #following = new Set<() => void>();
  #busy = false;
  #answersAt = 0;
  /** Whether a proposal that was under way when the link broke still arrives. */
  #arrives = false;

  constructor(ensemble: Ensemble, server: Server, life: Life, random: Random, client: LinkClient) {
    this.#ensemble = ensemble;
    this.server = server;
    this.#life = life;
    this.#random = random;
    this.#client = client;
  }

  call(call: Call): void {
    this.#waiting.push(call);
    this.#unanswered.add(call);
    this.#next();
  }

  /** Breaks for both sides; what is lost is told by `forget`, when the client notices. */
  cut(): void {
    this.alive = false;
    this.#arrives = this.#random.chance(0.5);
  }

  /** Nothing that this side hands over arrives any more. */
  mute(): void {
    this.#muted = true;
  }

  /** The client has noticed: nothing of what it waits for will be answered. */
  forget(): void {
    const lost = [...this.#unanswered];
    this.#unanswered.clear();
    for (const call of lost) call.lost();
    for (const tell of [...this.#following]) tell();
  }

  /** Tells once that what is watched has changed, or that this connection is no more. */
  follow(what: string, stale: () => void): void {
    const tell = (): void => {
      if (this.#following.delete(tell)) stale();
    };
    this.#following.add(tell);
    this.server.watch(what, () => this.answer(tell));
  }

  #next(): void {
    if (this.#busy || !this.alive || this.#waiting.length === 0) return;
    this.#busy = true;
    const delayMs = this.#random.span(0, this.#ensemble.weather.latencyMs);
    this.#life.world.time.after(delayMs, () => {
      const head = this.#waiting[0];
      if (head?.kind === 'write') this.#write(head);
      else this.#reads();
    });
  }

  #reads(): void {
    if (!this.alive) return;
    const seen = this.server.applied;
    this.#ensemble.noteRead(this.#life.name, seen);
    const answers: (() => void)[] = [];
    for (let head = this.#waiting[0]; head?.kind === 'read'; head = this.#waiting[0]) {
      const call = head;
      const hand = call.serve(this.server);
      answers.push(() => {
        if (this.#unanswered.delete(call)) hand();
      });
      this.#waiting.shift();
    }
    this.answer(() => {
      this.#client.saw(seen);
      for (const answer of answers) answer();
    });
    this.#busy = false;
    this.#next();
  }

  #write(call: Extract<Call, { kind: 'write' }>): void {
    this.#waiting.shift();
    const agreeMs = this.#random.span(0, this.#ensemble.weather.agreeMs);
    this.#life.world.time.after(agreeMs, () => {
      if (!this.alive && !this.#arrives) return;
      const entry = call.propose();
      if (entry === undefined) {
        if (this.alive) this.#client.refused();
        return;
      }
      this.server.whenApplied(entry.zxid, () => this.#written(call, entry));
    });
  }

  #written(call: Extract<Call, { kind: 'write' }>, entry: LogEntry): void {
    if (!this.alive) return;
    this.answer(() => {
      this.#client.saw(entry.zxid);
      if (this.#unanswered.delete(call)) call.answer(entry);
    });
    this.#busy = false;
    this.#next();
  }

  /** Hands something to the client, after everything handed before it. */
  answer(action: () => void): void {
    const now = this.#life.world.time.now();
    const at = now + this.#random.span(0, this.#ensemble.weather.latencyMs);
    this.#answersAt = Math.max(this.#answersAt, at);
    this.#life.world.time.after(this.#answersAt - now, () => {
      if (this.alive && !this.#muted) this.#life.deliver(action);
    });
  }
}
