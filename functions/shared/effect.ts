import type { TaskInfo } from '#proto/mesos/types.ts';
import type { CommandAnswer } from '#proto/messages.ts';
import type { RecordKind } from '#proto/subjects.ts';
import type { Heard } from './heard.ts';

/** To which registration a call belongs: it finds a listener only while this epoch lasts. */
export interface Registration {
  readonly id: string;
  readonly epoch: number;
}

export interface TaskName {
  readonly taskId: string;
  readonly agentId?: string | undefined;
}

/** What a decision may ask for besides its writes. Mesos calls carry Mesos' names. */
export type Effect =
  | {
      readonly kind: 'accept';
      readonly framework: Registration;
      readonly offerIds: readonly string[];
      readonly tasks: readonly TaskInfo[];
      readonly refuseSeconds: number;
      /** The launch as it is written in the workers. */
      readonly op: string;
    }
  | {
      /** Of offers, or of inverse offers. */
      readonly kind: 'decline' | 'decline-inverse';
      readonly framework: Registration;
      readonly offerIds: readonly string[];
      readonly refuseSeconds: number;
    }
  | { readonly kind: 'suppress' | 'revive' | 'teardown'; readonly framework: Registration }
  | { readonly kind: 'kill'; readonly framework: Registration; readonly tasks: readonly TaskName[] }
  | {
      readonly kind: 'acknowledge';
      readonly framework: Registration;
      readonly taskId: string;
      readonly agentId: string;
      /** As Mesos gave it. */
      readonly uuid: Uint8Array;
      /** The end of a worker: its record waits for the acknowledgement. */
      readonly last: boolean;
    }
  | {
      readonly kind: 'reconcile';
      readonly framework: Registration;
      /** Empty: implicit, Mesos tells of every live task. */
      readonly tasks: readonly TaskName[];
    }
  | {
      readonly kind: 'changed';
      readonly record: RecordKind;
      readonly id: string;
      readonly state: string;
      readonly op: string;
    }
  | {
      readonly kind: 'launched';
      readonly session: string;
      readonly n: number;
      readonly worker: string;
    }
  | {
      readonly kind: 'ended';
      readonly session: string;
      readonly worker: string;
      readonly why: string;
    }
  /** The answer to a command; to nobody where it came by `nats pub`, and in the decision log all the same. */
  | {
      readonly kind: 'answer';
      readonly command: string;
      readonly replyTo?: string;
      readonly answer: CommandAnswer;
    }
  /** This copy hears it next: more was there than one transaction may hold. */
  | { readonly kind: 'again'; readonly event: Heard };

/** One short line for the decision log; empty for what is not worth a line. */
export function showEffect(effect: Effect): string {
  switch (effect.kind) {
    case 'accept': {
      const tasks = effect.tasks.map((task) => task.task_id.value).join(' ');
      return `ACCEPT ${effect.offerIds.join(' ')}: LAUNCH ${tasks}`;
    }
    case 'decline':
      return `DECLINE ${effect.offerIds.length} for ${effect.refuseSeconds} s`;
    case 'decline-inverse':
      return `DECLINE_INVERSE_OFFERS ${effect.offerIds.length} for ${effect.refuseSeconds} s`;
    case 'suppress':
    case 'revive':
    case 'teardown':
      return effect.kind.toUpperCase();
    case 'kill':
      return `KILL ${effect.tasks.map((task) => task.taskId).join(' ')}`;
    case 'acknowledge':
      return `ACKNOWLEDGE ${effect.taskId}`;
    case 'reconcile':
      return effect.tasks.length > 0 ? `RECONCILE ${effect.tasks.length} tasks` : 'RECONCILE all';
    case 'launched':
    case 'ended':
      return `${effect.kind} ${effect.worker}`;
    case 'answer':
      return `${effect.command} ${effect.answer.ok ? 'done' : 'REFUSED'}: ${effect.answer.message}`;
    case 'changed':
    case 'again':
      return '';
  }
}
