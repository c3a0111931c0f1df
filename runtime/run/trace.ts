import { header } from '#proto/subjects.ts';
import type { Headers } from '../bus/bus.ts';

/** `<version>-<trace id>-<parent id>-<flags>` (W3C Trace Context). */
const form = /^00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/;

/** The trace in which a message was sent. */
export function traceOf(headers: Headers): string | undefined {
  const found = headers[header.trace];
  return found !== undefined && form.test(found) ? found : undefined;
}

/** What goes with all that follows from messages: the trace of the first that has one, with an id of our own. */
export function following(traces: readonly (string | undefined)[], random: () => number): Headers {
  const parent = traces.find((trace) => trace !== undefined);
  const [, traceId, flags] = form.exec(parent ?? '') ?? [];
  if (traceId === undefined) return {};
  return { [header.trace]: `00-${traceId}-${hex32(random)}${hex32(random)}-${flags}` };
}

/** Eight hexadecimal digits, never all zero. */
function hex32(random: () => number): string {
  return (Math.floor(random() * (2 ** 32 - 1)) + 1).toString(16).padStart(8, '0');
}
