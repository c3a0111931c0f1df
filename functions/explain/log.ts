import type { BusMessage, Subscription } from '#runtime/bus/bus.ts';
import { sleep } from '#runtime/clock.ts';
import type { FunctionContext } from '../shared/context.ts';

/** The log has been read when nothing more of it comes for so long. */
const settleMs = 100;
/** An answer waits no longer for the log: most of it is other things. */
const patienceMs = 300;

/** What a stream is read for. */
export interface Wanted<T> {
  readonly filter: string;
  /** How many messages of the stream are read back. */
  readonly back: number;
  /** How many things are kept: the newest. */
  readonly kept: number;
  /** What a message tells; nothing where it is a foreign one. */
  readonly read: (message: BusMessage) => readonly T[];
}

/** The newest of what the decision stream holds, read once and then followed. */
export interface Followed<T> {
  /** As far as it was read within 300 ms; the first call begins to read. Throws nothing. */
  known(): Promise<readonly T[]>;
  /** After it was read. @throws a DreyError where the stream cannot be read */
  all(): Promise<readonly T[]>;
}

/** Reads nothing before it is asked. */
export function follow<T>(
  { bus, subjects, clock, log }: FunctionContext,
  { filter, back, kept, read }: Wanted<T>,
): Followed<T> {
  const things: T[] = [];
  const remember = (message: BusMessage): void => {
    things.push(...read(message));
    if (things.length > kept) things.splice(0, things.length - kept);
  };
  const begin = async (): Promise<Subscription> => {
    const subscription = await bus.replay(subjects.decisionStream, filter, back, remember);
    for (let seen = -1; seen < things.length; ) {
      seen = things.length;
      await sleep(clock, settleMs);
    }
    return subscription;
  };
  let following: Promise<Subscription> | undefined;
  const all = async (): Promise<readonly T[]> => {
    following ??= begin();
    try {
      await following;
    } catch (error) {
      following = undefined;
      throw error;
    }
    return things;
  };
  return {
    all,
    known: async () => {
      const { promise: waited, resolve } = Promise.withResolvers<void>();
      const patience = clock.after(patienceMs, resolve);
      const read = all().catch((error) => {
        log?.warn({ error, filter }, 'the decision stream cannot be read');
      });
      await Promise.race([read, waited]);
      patience.cancel();
      return things;
    },
  };
}
