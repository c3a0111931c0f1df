import type { z } from 'zod';
import type { InverseOffer, Offer, TaskStatus } from '#proto/mesos/types.ts';
import type {
  confirmMessage,
  deregisterMessage,
  RequestMessage,
  recoverMessage,
  releaseMessage,
  TickMessage,
} from '#proto/messages.ts';
import type { RecordKind } from '#proto/subjects.ts';

/** Everything that a function can hear, as plain data. */
export type Heard =
  | HeardOffers
  | HeardLapsed
  | HeardInverseOffers
  | HeardUpdate
  | HeardTick
  | HeardChanged
  | HeardDemand
  | HeardCommand
  | HeardOutcome
  | { readonly kind: 'subscribed'; readonly epoch: number; readonly masterId: string }
  | {
      readonly kind: 'failure';
      readonly epoch: number;
      readonly agentId: string;
      readonly executorId: string;
    }
  | { readonly kind: 'remark'; readonly epoch: number; readonly what: string }
  | { readonly kind: 'acknowledged'; readonly worker: string; readonly uuid: string };

export interface HeardOffers {
  readonly kind: 'offers';
  readonly epoch: number;
  readonly offers: readonly Offer[];
}

/** Offers that nobody used in time. */
export interface HeardLapsed {
  readonly kind: 'lapsed';
  readonly epoch: number;
  readonly offerIds: readonly string[];
}

/** Agents that Mesos asks to leave. */
export interface HeardInverseOffers {
  readonly kind: 'inverse-offers';
  readonly epoch: number;
  readonly offers: readonly InverseOffer[];
}

export interface HeardUpdate {
  readonly kind: 'update';
  readonly epoch: number;
  /** The position among the events of its epoch. */
  readonly sequence?: number;
  readonly status: TaskStatus;
}

export interface HeardTick {
  readonly kind: 'tick';
  readonly tick: TickMessage;
}

/** A hint that a record was changed; its state is the one after the change. */
export interface HeardChanged {
  readonly kind: 'changed';
  readonly record: RecordKind;
  readonly id: string;
  readonly state: string;
}

/** A message of Flink's driver. */
export type HeardDemand = { readonly kind: 'demand' } & (
  | ({ readonly verb: 'recover' } & z.infer<typeof recoverMessage>)
  | ({ readonly verb: 'request' } & RequestMessage)
  | ({ readonly verb: 'release' } & z.infer<typeof releaseMessage>)
  | ({ readonly verb: 'confirm' } & z.infer<typeof confirmMessage>)
  | ({ readonly verb: 'deregister' } & z.infer<typeof deregisterMessage>)
);

/** A command of an administrator; `body` is not checked yet, so that a bad one can be answered. */
export interface HeardCommand {
  readonly kind: 'command';
  /** `<stream created>-<sequence>-<stored at>`: names the command for ever. */
  readonly id: string;
  readonly name: string;
  readonly body: string;
  readonly replyTo?: string;
}

/** An ACCEPT that was certainly not applied, told by this copy to itself. */
export interface HeardOutcome {
  readonly kind: 'refused';
  readonly workers: readonly string[];
  /** The launch that was refused. */
  readonly op: string;
  readonly why: string;
}
