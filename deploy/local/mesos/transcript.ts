import { openSync, writeSync } from 'node:fs';
import type { SchedulerCall, SchedulerEvent } from '#proto/mesos/types.ts';
import { hexOf } from './core/uuid.ts';

type Line = Readonly<Record<string, unknown>>;

/** What schedulers said and were told, line by line in a file that outlives this master: for tests. */
export class Transcript {
  readonly #file: number;

  /** Appends to what an earlier master has left. */
  constructor(path: string) {
    this.#file = openSync(path, 'a', 0o600);
  }

  call(streamId: string | undefined, call: SchedulerCall, status: number): void {
    this.#write({ stream: streamId, call: call.type, status, ...callFacts(call) });
  }

  event(streamId: string, event: SchedulerEvent): void {
    if (event.type === 'HEARTBEAT') return;
    this.#write({ stream: streamId, event: event.type, ...eventFacts(event) });
  }

  /** One write per line: a master that is killed leaves whole lines. */
  #write(line: Line): void {
    writeSync(this.#file, `${JSON.stringify({ at: Date.now(), ...line })}\n`);
  }
}

function callFacts(call: SchedulerCall): Line {
  const framework = call.framework_id?.value;
  const { accept, decline, kill, acknowledge } = call;
  const offers = (accept ?? decline)?.offer_ids?.map(({ value }) => value);
  const launched = accept?.operations?.flatMap(({ launch }) => launch?.task_infos ?? []);
  return {
    framework,
    offers,
    tasks: launched?.map(({ task_id }) => task_id.value),
    task: (kill ?? acknowledge)?.task_id.value,
    uuid: acknowledge === undefined ? undefined : hexOf(acknowledge.uuid),
  };
}

function eventFacts({ update, offers, rescind, error, subscribed }: SchedulerEvent): Line {
  const status = update?.status;
  return {
    framework: subscribed?.framework_id.value,
    offers: offers?.offers?.map(({ id }) => id.value),
    offer: rescind?.offer_id.value,
    message: error?.message ?? status?.message,
    task: status?.task_id.value,
    state: status?.state,
    reason: status?.reason,
    uuid: status?.uuid === undefined ? undefined : hexOf(status.uuid),
    timestamp: status?.timestamp,
  };
}
