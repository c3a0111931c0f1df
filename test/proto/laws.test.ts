import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeMessage, encodeMessage } from '#proto/mesos/codec.ts';
import { CodecError } from '#proto/mesos/codec-error.ts';
import type { Messages } from '#proto/mesos/types.ts';
import { anyMessage, travelling } from './arbitrary-message.ts';
import { type RecordedMessage, readMessages } from './transcripts.ts';

const full = process.env.DREY_FULL === '1';
const encodings = ['protobuf', 'json'] as const;

for (const name of travelling) {
  test(`codec: any ${name} survives protobuf and JSON`, () => {
    fc.assert(
      fc.property(anyMessage(name), (message) => {
        const value = message as unknown as Messages[typeof name];
        for (const encoding of encodings) {
          const bytes = encodeMessage(name, value, encoding);
          assert.deepEqual(decodeMessage(name, bytes, encoding), message, encoding);
        }
      }),
      { numRuns: full ? 2000 : 200 },
    );
  });
}

/** Damage as networks and bugs do it: bytes changed, cut out, doubled, put in. */
type Damage = { readonly at: number; readonly kind: number; readonly byte: number };
const damage: fc.Arbitrary<Damage> = fc.record({
  at: fc.nat(100_000),
  kind: fc.nat(4),
  byte: fc.integer({ min: 0, max: 255 }),
});

function damaged(bytes: Uint8Array, { at, kind, byte }: Damage): Uint8Array {
  const place = at % (bytes.length + 1);
  const [head, tail] = [bytes.subarray(0, place), bytes.subarray(place)];
  switch (kind) {
    case 0:
      return Buffer.concat([head, Uint8Array.of(byte), tail.subarray(1)]);
    case 1:
      return Buffer.concat([head, Uint8Array.of(byte), tail]);
    case 2:
      return head;
    case 3:
      return Buffer.concat([head, tail.subarray(byte)]);
    default:
      return Buffer.concat([head, tail.subarray(0, byte), tail]);
  }
}

/** Either a message that can be written and read again, or a CodecError; nothing else, and soon. */
function readsOrRefuses({ name, encoding }: RecordedMessage, bytes: Uint8Array): boolean {
  try {
    const message = decodeMessage(name, bytes, encoding);
    const again = decodeMessage(name, encodeMessage(name, message, encoding), encoding);
    assert.deepEqual(again, message);
    return true;
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return false;
  }
}

for (const encoding of encodings) {
  test(`codec: damaged ${encoding} is read as a whole message or refused, never worse`, () => {
    const recorded = readMessages().filter((message) => message.encoding === encoding);
    const several = fc.array(damage, { minLength: 1, maxLength: 4 });
    const outcomes = { read: 0, refused: 0 };
    fc.assert(
      fc.property(fc.constantFrom(...recorded), several, (message, damages) => {
        const bytes = damages.reduce(damaged, message.bytes);
        if (readsOrRefuses(message, bytes)) outcomes.read += 1;
        else outcomes.refused += 1;
      }),
      { numRuns: full ? 50_000 : 4000 },
    );
    assert.ok(outcomes.read > 0 && outcomes.refused > 0, JSON.stringify(outcomes));
  });
}

test('codec: any bytes at all are a message or refused', () => {
  const target = fc.constantFrom(...travelling);
  fc.assert(
    fc.property(target, fc.uint8Array({ maxLength: 200 }), (name, bytes) => {
      for (const encoding of encodings) {
        try {
          decodeMessage(name, bytes, encoding);
        } catch (error) {
          assert.ok(error instanceof CodecError, String(error));
        }
      }
    }),
    { numRuns: full ? 50_000 : 4000 },
  );
});
