import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { frameRecord, RecordIoError, RecordReader } from '#proto/mesos/record-io.ts';

const limit = 1000;
const text = (bytes: string) => new Uint8Array(Buffer.from(bytes, 'latin1'));

/** Cuts a stream at the given places. */
function chunksOf(stream: Uint8Array, cuts: readonly number[]): readonly Uint8Array[] {
  const places = [0, ...cuts.map((cut) => cut % (stream.length + 1)), stream.length];
  places.sort((one, other) => one - other);
  return places.slice(1).map((end, at) => stream.slice(places[at], end));
}

/** What came out of a stream: records, and how it broke. */
function read(chunks: readonly Uint8Array[], limitBytes = limit) {
  const reader = new RecordReader(limitBytes);
  const records: Uint8Array[] = [];
  for (const chunk of chunks) {
    try {
      records.push(...reader.push(chunk));
    } catch (error) {
      assert.ok(error instanceof RecordIoError);
      const broken = { message: error.message, offset: error.offset };
      return { records: [...records, ...error.before].map(plain), broken };
    }
  }
  return { records: records.map(plain), broken: undefined };
}

const plain = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
const cuts = fc.array(fc.nat(5000), { maxLength: 40 });

test('record-io: records come out as they went in, however the stream is cut', () => {
  const records = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 });
  fc.assert(
    fc.property(records, cuts, (written, places) => {
      const stream = Buffer.concat(written.map(frameRecord));
      assert.deepEqual(read(chunksOf(stream, places)), {
        records: written.map(plain),
        broken: undefined,
      });
    }),
    { numRuns: 500 },
  );
});

test('record-io: any bytes give the same records and the same error however they are cut', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.stringMatching(/^[0-9\n x-]{0,60}$/).map(text),
  );
  fc.assert(
    fc.property(bytes, cuts, (stream, places) => {
      assert.deepEqual(read(chunksOf(stream, places)), read([stream]));
    }),
    { numRuns: 4000 },
  );
});

test('record-io: a malformed or oversize length is told with its place in the stream', () => {
  const good = '5\nhello';
  const broken: readonly [string, number, RegExp][] = [
    ['\n', 0, /an empty length at byte 0/],
    ['5 \nhello', 1, /decimal digits at byte 1/],
    ['-1\n', 0, /decimal digits/],
    ['0x5\nhello', 1, /decimal digits/],
    ['5\r\nhello', 1, /decimal digits/],
    ['5\nhello\n', 7, /an empty length/],
    ['{"type":"HEARTBEAT"}', 0, /decimal digits/],
    ['1001\n', 3, /more than 1000 bytes at byte 3/],
    ['99999999999999999999999999', 3, /more than 1000 bytes/],
    ['000000000000000000000000000001\n', 20, /a length without end/],
  ];
  for (const [bad, at, message] of broken) {
    const { records, broken: found } = read([text(good), text(`${good}${bad}`)]);
    assert.deepEqual(records.slice(0, 2), ['hello', 'hello'], bad);
    assert.equal(found?.offset, 14 + at, bad);
    const shifted = found?.message.replace(`byte ${found.offset}`, `byte ${at}`) ?? '';
    assert.match(shifted, message);
  }
});

test('record-io: nothing is read after a broken length', () => {
  const reader = new RecordReader(limit);
  const stops = (error: unknown) =>
    error instanceof RecordIoError && error.offset === 0 && error.code === 'DREY_RECORD_IO';
  assert.throws(() => reader.push(text('x')), stops);
  assert.throws(() => reader.push(text('2\nok')), stops);
});

test('record-io: a record of exactly the limit passes, also an empty one', () => {
  const full = new Uint8Array(limit);
  const stream = Buffer.concat([frameRecord(full), frameRecord(new Uint8Array())]);
  assert.deepEqual(read([stream]).records, [plain(full), '']);
});

test('record-io: a large record in very small chunks costs no more than its bytes', () => {
  const record = new Uint8Array(8_000_000).fill(7);
  const stream = frameRecord(record);
  const reader = new RecordReader(10_000_000);
  const started = performance.now();
  const records: Uint8Array[] = [];
  for (let at = 0; at < stream.length; at += 64) {
    records.push(...reader.push(stream.subarray(at, at + 64)));
  }
  // 125,000 chunks: copying all that came before at each one would take minutes.
  assert.ok(performance.now() - started < 5000);
  assert.equal(records.length, 1);
  assert.ok(Buffer.from(record).equals(records[0] ?? new Uint8Array()));
});

test('record-io: an announced length takes no memory before its bytes come', () => {
  const before = process.memoryUsage().arrayBuffers;
  const readers = Array.from({ length: 100 }, () => new RecordReader(100_000_000));
  for (const reader of readers) reader.push(text('99999999\nx'));
  assert.ok(process.memoryUsage().arrayBuffers - before < 10_000_000);
  assert.equal(readers.length, 100);
});
