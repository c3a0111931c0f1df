import type { Offer } from '#proto/mesos/types.ts';

/** Wire type of length-delimited fields. */
const lengthDelimited = 2;
/** Event.type, Event.offers and Offers.offers in mesos.v1.scheduler. */
const typeField = 1;
const offersField = 3;
const offerField = 1;
const typeOffers = 2;

/** One field as it stands in the bytes: its number, the whole of it, and what is inside. */
interface Field {
  readonly number: number;
  readonly whole: Uint8Array;
  readonly content: Uint8Array;
}

/**
 * Cuts an OFFERS event into events of at most about `maxBytes`, each offer's bytes unchanged and the
 * offers of one agent together. An event that is small enough passes as it is; one agent with more
 * than that makes a larger chunk of its own.
 */
export function chunkOffers(
  event: Uint8Array,
  offers: readonly Offer[],
  maxBytes: number,
): readonly Uint8Array[] {
  if (event.length <= maxBytes) return [event];
  const pieces = fieldsOf(event)
    .filter((field) => field.number === offersField)
    .flatMap((field) => fieldsOf(field.content).filter((inner) => inner.number === offerField));
  if (pieces.length !== offers.length) {
    throw new RangeError(`${pieces.length} offers in the bytes, ${offers.length} decoded`);
  }
  const byAgent = new Map<string, Uint8Array[]>();
  for (const [at, offer] of offers.entries()) {
    const piece = pieces[at];
    if (piece === undefined) continue;
    const group = byAgent.get(offer.agent_id.value);
    if (group === undefined) byAgent.set(offer.agent_id.value, [piece.whole]);
    else group.push(piece.whole);
  }
  return packed([...byAgent.values()], maxBytes).map(frame);
}

/** Groups that together stay below the limit, in order. */
function packed(groups: readonly Uint8Array[][], maxBytes: number): readonly Uint8Array[][] {
  const chunks: Uint8Array[][] = [];
  let room = 0;
  for (const group of groups) {
    const bytes = group.reduce((sum, piece) => sum + piece.length, 0);
    const last = chunks.at(-1);
    if (last === undefined || bytes > room) {
      chunks.push([...group]);
      room = maxBytes - bytes;
    } else {
      last.push(...group);
      room -= bytes;
    }
  }
  return chunks;
}

/** An event of type OFFERS around offers that are still in bytes. */
function frame(offers: readonly Uint8Array[]): Uint8Array {
  const length = offers.reduce((sum, piece) => sum + piece.length, 0);
  const head = [typeField << 3, typeOffers, (offersField << 3) | lengthDelimited];
  return Buffer.concat([Uint8Array.from([...head, ...varint(length)]), ...offers]);
}

function varint(value: number): readonly number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return [...bytes, rest];
}

/** The fields of a message, without understanding them. @throws RangeError when the bytes are no message. */
function fieldsOf(bytes: Uint8Array): readonly Field[] {
  const fields: Field[] = [];
  let at = 0;
  const readVarint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new RangeError('a message ends in the middle of a number');
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const start = at;
    const tag = readVarint();
    const wire = tag % 8;
    let inner = at;
    if (wire === 0) readVarint();
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === lengthDelimited) {
      const length = readVarint();
      inner = at;
      at += length;
    } else throw new RangeError(`wire type ${wire} is not used by Mesos`);
    if (at > bytes.length) throw new RangeError('a field reaches beyond its message');
    const whole = bytes.subarray(start, at);
    fields.push({ number: Math.floor(tag / 8), whole, content: bytes.subarray(inner, at) });
  }
  return fields;
}
