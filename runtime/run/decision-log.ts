import { type DecisionMessage, encodeJson } from '#proto/messages.ts';

/** Far below the server's largest message, so that one line never fails. */
const maxBytes = 256 * 1024;
const keptWhenLarge = 100;
const longestText = 500;

/** A line of the decision log; of one that is too large the beginning of each list. */
export function decisionLine(line: DecisionMessage): Uint8Array {
  const whole = encodeJson(line);
  if (whole.byteLength <= maxBytes) return whole;
  const { heard, wrote, effects, reasons, read = [] } = line;
  const short = {
    ...line,
    heard: beginning(heard),
    wrote: beginning(wrote),
    effects: beginning(effects),
    read: beginning(read),
    reasons: reasons.slice(0, keptWhenLarge).map(({ about, why }) => ({
      about: about.slice(0, longestText),
      why: why.slice(0, longestText),
    })),
  };
  return encodeJson(short);
}

function beginning(list: readonly string[]): string[] {
  const kept = list.slice(0, keptWhenLarge).map((text) => text.slice(0, longestText));
  const left = list.length - kept.length;
  return left > 0 ? [...kept, `and ${left} more`] : kept;
}
