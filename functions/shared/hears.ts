import { z } from 'zod';
import { decodeEvent } from '#proto/mesos/codec.ts';
import { CodecError } from '#proto/mesos/codec-error.ts';
import type { SchedulerEvent, SchedulerEventType } from '#proto/mesos/types.ts';
import { changedMessage, demandMessages, lapsedMessage, tickMessage } from '#proto/messages.ts';
import { header, type RecordKind, type Subjects } from '#proto/subjects.ts';
import type { BusMessage } from '#runtime/bus/bus.ts';
import { BadMessageError } from '#runtime/errors.ts';
import type { Hears } from '#runtime/function.ts';
import type { Heard } from './heard.ts';

/** OFFERS, as Mesos sent them. */
export function hearsOffers(subjects: Subjects): Hears<Heard> {
  return {
    transport: 'queue',
    subject: subjects.offers,
    parse: (message) => {
      const event = mesosEvent(message, 'OFFERS');
      return {
        kind: 'offers',
        epoch: epochOf(message),
        offers: event.offers?.offers ?? [],
      };
    },
  };
}

/** Offers that nobody used in time. */
export function hearsLapsed(subjects: Subjects): Hears<Heard> {
  return {
    transport: 'queue',
    subject: subjects.lapsed,
    parse: (message) => ({
      kind: 'lapsed',
      epoch: epochOf(message),
      offerIds: parsed(lapsedMessage, message).offers,
    }),
  };
}

/** UPDATE: the gateway waits until it is stored and acknowledged. */
export function hearsUpdates(subjects: Subjects): Hears<Heard> {
  return {
    transport: 'request',
    subject: subjects.everyUpdate,
    parse: (message) => {
      const status = mesosEvent(message, 'UPDATE').update?.status;
      if (status === undefined) {
        throw new BadMessageError(`${message.subject}: an UPDATE event without field update`);
      }
      return { kind: 'update', epoch: epochOf(message), ...sequenceOf(message), status };
    },
  };
}

/** FAILURE: an agent or an executor is gone. */
export function hearsFailure(subjects: Subjects): Hears<Heard> {
  return {
    transport: 'request',
    subject: subjects.failure,
    parse: (message) => {
      const failure = mesosEvent(message, 'FAILURE').failure;
      return {
        kind: 'failure',
        epoch: epochOf(message),
        agentId: failure?.agent_id?.value ?? '',
        executorId: failure?.executor_id?.value ?? '',
      };
    },
  };
}

/** Events that are only noted: drey sends no operation with an id and runs no executor of its own. */
export function hearsRemarks(subjects: Subjects): readonly Hears<Heard>[] {
  return [subjects.operation, subjects.message, subjects.error].map(
    (subject): Hears<Heard> => ({
      transport: 'request',
      subject,
      parse: (message) => {
        const event = decoded(message);
        const text = event.error?.message ?? '';
        return { kind: 'remark', epoch: epochOf(message), what: `${event.type} ${text}`.trim() };
      },
    }),
  );
}

/** INVERSE_OFFERS: Mesos asks to leave agents, most often for a maintenance. */
export function hearsInverseOffers(subjects: Subjects): Hears<Heard> {
  return {
    transport: 'request',
    subject: subjects.inverseOffers,
    parse: (message) => ({
      kind: 'inverse-offers',
      epoch: epochOf(message),
      offers: mesosEvent(message, 'INVERSE_OFFERS').inverse_offers?.inverse_offers ?? [],
    }),
  };
}

/** SUBSCRIBED: a new epoch stands. */
export function hearsSubscribed(subjects: Subjects): Hears<Heard> {
  return {
    transport: 'request',
    subject: subjects.subscribed,
    parse: (message) => ({
      kind: 'subscribed',
      epoch: epochOf(message),
      masterId: mesosEvent(message, 'SUBSCRIBED').subscribed?.master_info?.id ?? '',
    }),
  };
}

/** Once a second from the leading gateway; one that is late, or of an epoch that is over, is dropped. */
export function hearsTick(subjects: Subjects): Hears<Heard> {
  return {
    transport: 'queue',
    subject: subjects.tick,
    parse: (message) => ({ kind: 'tick', tick: parsed(tickMessage, message) }),
    said: (event) => {
      if (event.kind !== 'tick') return undefined;
      const { gateway, time, epoch } = event.tick;
      return { by: gateway, at: time, term: epoch };
    },
  };
}

/** Hints that records of one kind changed. */
export function hearsChanged(subjects: Subjects, record: RecordKind): Hears<Heard> {
  return {
    transport: 'queue',
    subject: subjects.everyChanged(record),
    parse: (message) => {
      const { id, state } = parsed(changedMessage, message);
      return { kind: 'changed', record, id, state };
    },
  };
}

/** One verb of Flink's driver; it repeats every message until it is answered. */
export function hearsDemand(subjects: Subjects, verb: keyof typeof demandMessages): Hears<Heard> {
  return {
    transport: 'request',
    subject: subjects.demand(verb),
    parse: (message): Heard => demandParsers[verb](message),
  };
}

/** Commands of administrators, kept by the server until applied. */
export function hearsCommands(subjects: Subjects): Hears<Heard> {
  return {
    transport: 'stream',
    stream: subjects.adminStream,
    durable: 'admin',
    parse: (message) => {
      const replyTo = message.headers[header.replyTo];
      return {
        kind: 'command',
        id: message.id,
        name: message.subject.slice(subjects.admin('').length),
        body: new TextDecoder().decode(message.data),
        ...(replyTo === undefined ? {} : { replyTo }),
      };
    },
  };
}

const demandParsers: Record<keyof typeof demandMessages, (message: BusMessage) => Heard> = {
  recover: (m) => ({ kind: 'demand', verb: 'recover', ...parsed(demandMessages.recover, m) }),
  request: (m) => ({ kind: 'demand', verb: 'request', ...parsed(demandMessages.request, m) }),
  release: (m) => ({ kind: 'demand', verb: 'release', ...parsed(demandMessages.release, m) }),
  confirm: (m) => ({ kind: 'demand', verb: 'confirm', ...parsed(demandMessages.confirm, m) }),
  deregister: (m) => ({
    kind: 'demand',
    verb: 'deregister',
    ...parsed(demandMessages.deregister, m),
  }),
};

/** @throws BadMessageError no event of Mesos, or one of another type. */
function mesosEvent(message: BusMessage, type: SchedulerEventType): SchedulerEvent {
  const event = decoded(message);
  if (event.type === type) return event;
  throw new BadMessageError(
    `${message.subject}: a Mesos event of type ${event.type}, not ${type} (field type)`,
  );
}

function decoded({ subject, data }: BusMessage): SchedulerEvent {
  try {
    return decodeEvent(data, 'protobuf');
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw new BadMessageError(`${subject}: ${error.message}`, { cause: error });
  }
}

function epochOf(message: BusMessage): number {
  const epoch = Number(message.headers[header.epoch]);
  if (!Number.isSafeInteger(epoch)) {
    throw new BadMessageError(`${message.subject}: header ${header.epoch} is not a whole number`);
  }
  return epoch;
}

function sequenceOf(message: BusMessage): { readonly sequence?: number } {
  const sequence = Number(message.headers[header.sequence]);
  return Number.isSafeInteger(sequence) ? { sequence } : {};
}

function parsed<T extends z.ZodType>(schema: T, message: BusMessage): z.infer<T> {
  const result = schema.safeParse(json(message));
  if (result.success) return result.data;
  throw new BadMessageError(`${message.subject}: ${z.prettifyError(result.error)}`);
}

function json(message: BusMessage): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(message.data));
  } catch (error) {
    throw new BadMessageError(`${message.subject}: not JSON`, { cause: error });
  }
}
