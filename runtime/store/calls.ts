import type { Client } from 'node-zookeeper-client';
import type { Clock } from '../clock.ts';
import { StoreUnavailableError } from '../errors.ts';
import { type CallFacts, failureOf, isAnswer, lostAnswer } from './outcomes.ts';

/** Makes one call; `path` names the culprit where it is not the path of the call. */
export type Send<T> = (
  client: Client,
  done: (error: unknown, value?: T, path?: string) => void,
) => void;

interface Pending {
  readonly facts: CallFacts;
  readonly overdueAt: number;
  readonly timeoutMs: number;
  fail(error: Error): void;
}

/** More calls than this are refused: whoever sends them does not wait for answers. */
const mostCalls = 16_384;

/** The calls under way. Each ends by its answer, by the loss of its connection or by its deadline. */
export class Calls {
  readonly #pending = new Set<Pending>();
  readonly #clock: Clock;
  readonly #answered: (sentAt: number) => void;

  constructor(clock: Clock, answered: (sentAt: number) => void) {
    this.#clock = clock;
    this.#answered = answered;
  }

  send<T>(client: Client, facts: CallFacts, timeoutMs: number, send: Send<T>): Promise<T> {
    if (this.#pending.size >= mostCalls) {
      const why = `${mostCalls} calls wait for an answer already`;
      return Promise.reject(new StoreUnavailableError(`${facts.verb} ${facts.path}: ${why}`));
    }
    return new Promise<T>((resolve, reject) => {
      const sentAt = this.#clock.elapsed();
      const pending = { facts, timeoutMs, overdueAt: sentAt + timeoutMs, fail: reject };
      this.#pending.add(pending);
      try {
        send(client, (error, value, path = facts.path) => {
          this.#pending.delete(pending);
          if (!error || isAnswer(error)) this.#answered(sentAt);
          if (error) reject(failureOf(error, { ...facts, path }));
          else resolve(value as T);
        });
      } catch (error) {
        this.#pending.delete(pending);
        reject(failureOf(error, facts));
      }
    });
  }

  failOverdue(): void {
    const now = this.#clock.elapsed();
    this.#fail(
      (pending) => pending.overdueAt <= now,
      (pending) => `${pending.timeoutMs} ms passed`,
    );
  }

  failAll(why: string): void {
    this.#fail(
      () => true,
      () => why,
    );
  }

  #fail(which: (pending: Pending) => boolean, why: (pending: Pending) => string): void {
    for (const pending of [...this.#pending].filter(which)) {
      this.#pending.delete(pending);
      pending.fail(lostAnswer(pending.facts, why(pending)));
    }
  }
}
