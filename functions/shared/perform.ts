import { encodeCall } from '#proto/mesos/codec.ts';
import type { SchedulerCall } from '#proto/mesos/types.ts';
import { type CallOutcome, callOutcome, encodeJson } from '#proto/messages.ts';
import { frameworkRecord } from '#proto/records.ts';
import type { CallName } from '#proto/subjects.ts';
import type { Headers } from '#runtime/bus/bus.ts';
import { sleep } from '#runtime/clock.ts';
import { DreyError, RequestTimeoutError } from '#runtime/errors.ts';
import { readRecord } from '#runtime/store/records.ts';
import type { FunctionContext } from './context.ts';
import type { Effect, Registration } from './effect.ts';
import { type Epochs, watchEpochs } from './epochs.ts';
import type { Heard } from './heard.ts';

/** The gateway answers a call within this time, or its outcome is unknown. */
const callTimeoutMs = 15_000;
/** An answer on its way when the epoch ends still counts: `no responder` is certain, silence is not. */
const graceMs = 1000;
/** How often a call that may be repeated looks for a newer epoch. */
const epochTries = 3;

/** Mesos, or the gateway before it, did not take a call that must not get lost: whoever asked asks again. */
export class CallRefusedError extends DreyError {
  readonly code = 'DREY_CALL_REFUSED';
  readonly remedy = 'retry';
}

/** What calls are sent with. */
interface Ground {
  readonly context: FunctionContext;
  readonly epochs: Epochs;
  readonly headers: Headers;
}

type Performer = (effect: Effect, headers?: Headers) => Promise<readonly Heard[]>;

/** Performs effects: calls through the leading gateway, hints and answers on the bus. */
export function performer(context: FunctionContext): Performer {
  const { bus, subjects, clock } = context;
  const epochs = watchEpochs(bus, subjects, clock);
  return async (effect, headers = {}) => {
    const ground: Ground = { context, epochs, headers };
    switch (effect.kind) {
      case 'accept':
        return accept(ground, effect);
      case 'decline':
      case 'decline-inverse':
      case 'suppress':
      case 'revive':
      case 'teardown':
        await send(ground, effect.framework, simpleCall(effect));
        return [];
      case 'kill':
      case 'reconcile':
        await sendAll(ground, effect.framework, repeatableCalls(effect));
        return [];
      case 'acknowledge':
        await sendAll(ground, effect.framework, repeatableCalls(effect));
        return effect.last
          ? [{ kind: 'acknowledged', worker: effect.taskId, uuid: base64(effect.uuid) }]
          : [];
      case 'changed': {
        const { record, id, state, op } = effect;
        bus.publish(subjects.changed(record, id), encodeJson({ id, state, op }), headers);
        return [];
      }
      case 'launched': {
        const { session, n, worker } = effect;
        bus.publish(subjects.demand('launched'), encodeJson({ session, n, worker }), headers);
        return [];
      }
      case 'ended': {
        const { session, worker, why } = effect;
        bus.publish(subjects.demand('ended'), encodeJson({ session, worker, why }), headers);
        return [];
      }
      case 'answer': {
        const { replyTo, answer, command } = effect;
        const say = answer.ok ? context.log?.info : context.log?.warn;
        say?.call(context.log, { command, ...answer }, 'a command was answered');
        if (replyTo !== undefined) bus.publish(replyTo, encodeJson(answer), headers);
        return [];
      }
      case 'again':
        return [effect.event];
    }
  };
}

/** The uuid of a status as records carry it. */
export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

async function accept(
  ground: Ground,
  effect: Effect & { readonly kind: 'accept' },
): Promise<readonly Heard[]> {
  const outcome = await send(ground, effect.framework, {
    type: 'ACCEPT',
    accept: {
      offer_ids: effect.offerIds.map((value) => ({ value })),
      operations: [{ type: 'LAUNCH', launch: { task_infos: effect.tasks } }],
      filters: { refuse_seconds: effect.refuseSeconds },
    },
  });
  if (outcome.outcome !== 'refused') return [];
  const workers = effect.tasks.map((task) => task.task_id.value);
  return [{ kind: 'refused', workers, op: effect.op, why: outcome.message ?? 'refused' }];
}

function simpleCall(
  effect: Effect & {
    readonly kind: 'decline' | 'decline-inverse' | 'suppress' | 'revive' | 'teardown';
  },
): SchedulerCall {
  switch (effect.kind) {
    case 'decline':
      return {
        type: 'DECLINE',
        decline: {
          offer_ids: effect.offerIds.map((value) => ({ value })),
          filters: { refuse_seconds: effect.refuseSeconds },
        },
      };
    case 'decline-inverse':
      return {
        type: 'DECLINE_INVERSE_OFFERS',
        decline_inverse_offers: {
          inverse_offer_ids: effect.offerIds.map((value) => ({ value })),
          filters: { refuse_seconds: effect.refuseSeconds },
        },
      };
    case 'suppress':
      return { type: 'SUPPRESS' };
    case 'revive':
      return { type: 'REVIVE' };
    case 'teardown':
      return { type: 'TEARDOWN' };
  }
}

function repeatableCalls(
  effect: Effect & { readonly kind: 'kill' | 'reconcile' | 'acknowledge' },
): SchedulerCall[] {
  switch (effect.kind) {
    case 'kill':
      return effect.tasks.map(({ taskId, agentId }) => ({
        type: 'KILL',
        kill: { task_id: { value: taskId }, ...agent(agentId) },
      }));
    case 'reconcile':
      return [
        {
          type: 'RECONCILE',
          reconcile: {
            tasks: effect.tasks.map(({ taskId, agentId }) => ({
              task_id: { value: taskId },
              ...agent(agentId),
            })),
          },
        },
      ];
    case 'acknowledge':
      return [
        {
          type: 'ACKNOWLEDGE',
          acknowledge: {
            agent_id: { value: effect.agentId },
            task_id: { value: effect.taskId },
            uuid: effect.uuid,
          },
        },
      ];
  }
}

function agent(agentId: string | undefined): { agent_id?: { value: string } } {
  return agentId === undefined ? {} : { agent_id: { value: agentId } };
}

/** Sends one call in its epoch, never twice: an epoch that is over has no listener, so the call is certainly not sent. */
async function send(
  { context: { bus, subjects, clock }, epochs, headers }: Ground,
  framework: Registration,
  call: SchedulerCall,
): Promise<CallOutcome> {
  const subject = subjects.call(framework.epoch, callName(call));
  const bytes = encodeCall({ ...call, framework_id: { value: framework.id } }, 'protobuf');
  const over = epochs.over(framework.epoch);
  const gone: CallOutcome = {
    outcome: 'unknown',
    message: 'its epoch ended before an answer came',
  };
  try {
    const answered = bus
      .request(subject, bytes, { timeoutMs: callTimeoutMs, headers })
      .then(({ data }) => callOutcome.parse(JSON.parse(new TextDecoder().decode(data))));
    return await Promise.race([
      answered,
      over.promise.then(() => sleep(clock, graceMs)).then(() => gone),
    ]);
  } catch (error) {
    if (error instanceof RequestTimeoutError) {
      return { outcome: 'unknown', message: error.message };
    }
    if (error instanceof DreyError && error.remedy === 'retry') {
      return { outcome: 'refused', message: error.message };
    }
    throw error;
  } finally {
    over.stop();
  }
}

async function sendAll(
  ground: Ground,
  framework: Registration,
  calls: readonly SchedulerCall[],
): Promise<void> {
  await Promise.all(calls.map((call) => sendInPresentEpoch(ground, framework, call)));
}

/** ACKNOWLEDGE, KILL and RECONCILE may be repeated: where the epoch is over they go out in the next. */
async function sendInPresentEpoch(
  ground: Ground,
  framework: Registration,
  call: SchedulerCall,
): Promise<void> {
  let target = framework;
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await send(ground, target, call);
    if (outcome.outcome === 'sent') return;
    const { store, paths } = ground.context;
    const read = await readRecord(store, paths.framework, frameworkRecord);
    const moved = read !== undefined && read.value.epoch !== target.epoch;
    if (read === undefined || !moved || attempt === epochTries) {
      throw new CallRefusedError(`${call.type} of epoch ${target.epoch}: ${outcome.message ?? ''}`);
    }
    target = { id: read.value.id, epoch: read.value.epoch };
  }
}

function callName(call: SchedulerCall): CallName {
  return (call.type ?? '').toLowerCase().replaceAll('_', '-') as CallName;
}
