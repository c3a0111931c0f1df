import { type TickMessage, tickMessage } from '#proto/messages.ts';
import type { Subjects } from '#proto/subjects.ts';
import type { Bus, BusMessage } from '#runtime/bus/bus.ts';

/** Every tick for this copy, beside the one that its queue group decides upon; a foreign message on the subject is passed over. */
export function followTicks(bus: Bus, subjects: Subjects, hear: (tick: TickMessage) => void): void {
  bus.subscribe(subjects.tick, undefined, (message) => {
    const tick = tickMessage.safeParse(jsonOf(message));
    if (tick.success) hear(tick.data);
  });
}

/** Undefined for what is no JSON. */
export function jsonOf(message: BusMessage): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(message.data));
  } catch {
    return undefined;
  }
}
