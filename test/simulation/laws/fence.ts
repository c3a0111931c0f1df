import { callOutcome } from '#proto/messages.ts';
import type { BusServer, Sent } from '../world/bus/server.ts';
import type { Laws, Watched } from './laws.ts';

interface Asked {
  readonly epoch: number;
  readonly subject: string;
  /** The newest epoch of each gateway when the call reached the bus. */
  readonly newest: ReadonlyMap<string, number>;
}

/** More calls on their way than any run has. */
const mostAsked = 10_000;

/** Epochs fence: a call passes only at the gateway that wrote its epoch, and while that was its newest. */
export class FenceLaw {
  readonly #laws: Laws;
  /** Gateway to the newest epoch that it has written. */
  readonly #newest = new Map<string, number>();
  readonly #asked = new Map<string, Asked>();

  constructor(watched: Watched, laws: Laws, nats: BusServer) {
    this.#laws = laws;
    watched.records.onFramework(({ gateway, epoch }) => this.#newest.set(gateway, epoch));
    nats.onMessage((who, sent) => this.#message(who, sent));
  }

  #message(who: string, sent: Sent): void {
    const epoch = /\.call\.(\d+)\./.exec(sent.subject)?.[1];
    if (epoch !== undefined && sent.reply !== undefined) {
      const newest = new Map(this.#newest);
      this.#asked.set(sent.reply, { epoch: Number(epoch), subject: sent.subject, newest });
      if (this.#asked.size > mostAsked) this.#asked.clear();
      return;
    }
    const asked = this.#asked.get(sent.subject);
    if (asked !== undefined) this.#answered(who, asked, sent);
  }

  #answered(who: string, asked: Asked, sent: Sent): void {
    const outcome = callOutcome.safeParse(JSON.parse(new TextDecoder().decode(sent.data))).data;
    if (outcome?.outcome !== 'sent') return;
    const epoch = asked.newest.get(who);
    if (epoch === asked.epoch) return;
    const what = `${asked.subject} passed at ${who}, whose epoch was ${epoch}`;
    this.#laws.broken('a call passes only in its epoch', what, ['.call.', 'epoch=']);
  }
}
