import type { SchedulerCall } from '#proto/mesos/types.ts';
import type { CallOutcome } from '#proto/messages.ts';
import { DreyError } from '#runtime/errors.ts';

/** Who hears a stream of scheduler events. */
export interface StreamListener {
  /** Asked right before SUBSCRIBE and each call are sent: only who leads may send. */
  readonly wanted: boolean;
  /** One event as Mesos sent it, in protobuf. */
  event(bytes: Uint8Array): void;
  /** Called once: cleanly ended by the master, or with the error that broke it. Not after `close`. */
  closed(error?: Error): void;
}

/** A subscription that stands. */
export interface Stream {
  readonly streamId: string;
  close(): void;
}

/** The master as the gateway sees it; the simulation implements it too. */
export interface Mesos {
  /** Resolves once the stream stands (200). @throws SubscribeError */
  subscribe(call: SchedulerCall, listener: StreamListener): Promise<Stream>;
  /**
   * One call; `ordered` ones (ACCEPT, DECLINE, SUPPRESS, REVIVE) over one connection in the order
   * given, others over another. Never repeated by any layer, never rejected.
   */
  call(streamId: string, call: Uint8Array, ordered: boolean): Promise<CallOutcome>;
}

/** No stream came of a SUBSCRIBE. */
export class SubscribeError extends DreyError {
  readonly code = 'DREY_SUBSCRIBE';
  readonly remedy = 'retry';
  /** HTTP status; undefined where no answer came at all. */
  readonly status: number | undefined;
  readonly body: string;
  /** When the master asks to come back. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    facts: {
      readonly status?: number | undefined;
      readonly body?: string | undefined;
      readonly retryAfterMs?: number | undefined;
    } = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.status = facts.status;
    this.body = facts.body ?? '';
    this.retryAfterMs = facts.retryAfterMs;
  }

  /** Repeating the same SUBSCRIBE cannot help: its form or credentials are refused, or this is no master. */
  get hopeless(): boolean {
    return this.status !== undefined && this.status >= 200 && this.status < 500;
  }
}
