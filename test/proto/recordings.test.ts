import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeCall,
  decodeEvent,
  decodeMessage,
  type Encoding,
  encodeMessage,
} from '#proto/mesos/codec.ts';
import { CodecError } from '#proto/mesos/codec-error.ts';
import { RecordReader } from '#proto/mesos/record-io.ts';
import { type RecordedMessage, readMessages, readTranscripts } from './transcripts.ts';

const recorded = readMessages();
const events = recorded.filter(({ name }) => name === 'SchedulerEvent');
const calls = recorded.filter(({ name }) => name === 'SchedulerCall');
const operator = recorded.filter(({ name }) => !name.startsWith('Scheduler'));

/** Decoded, it is the same after a way through each encoding. */
function survives({ where, name, bytes, encoding }: RecordedMessage): void {
  const message = decodeMessage(name, bytes, encoding);
  for (const other of ['protobuf', 'json'] as const) {
    const again = decodeMessage(name, encodeMessage(name, message, other), other);
    assert.deepEqual(again, message, `${where} in ${other}`);
  }
}

/** The form of the call, not its meaning, was at fault. */
function refusedForItsForm({ answer }: RecordedMessage): boolean {
  return answer?.status === 400 && /^Failed to (parse|convert)/.test(answer.body_text ?? '');
}

test('recordings: every event of a real Mesos survives both encodings', () => {
  assert.equal(events.length, 993);
  events.forEach(survives);
});

test('recordings: an event in protobuf is written byte for byte as Mesos wrote it', () => {
  const binary = events.filter(({ encoding }) => encoding === 'protobuf');
  assert.equal(binary.length, 377);
  for (const { where, bytes } of binary) {
    const written = encodeMessage('SchedulerEvent', decodeEvent(bytes, 'protobuf'), 'protobuf');
    assert.ok(Buffer.from(bytes).equals(written), where);
  }
});

test('recordings: an event in JSON is written as Mesos wrote it', () => {
  for (const { where, bytes, line } of events.filter(({ encoding }) => encoding === 'json')) {
    const written = encodeMessage('SchedulerEvent', decodeEvent(bytes, 'json'), 'json');
    assert.deepEqual(JSON.parse(Buffer.from(written).toString()), line.body, where);
  }
});

test('recordings: protobuf reads as another protobuf library read it', () => {
  const twice = recorded.filter(
    (message) => message.line.decoded !== undefined && !refusedForItsForm(message),
  );
  assert.ok(twice.length > 700, `${twice.length} messages`);
  for (const { where, name, bytes, line } of twice) {
    const other = decodeMessage(name, Buffer.from(JSON.stringify(line.decoded)), 'json');
    assert.deepEqual(decodeMessage(name, bytes, 'protobuf'), other, where);
  }
});

test('recordings: a call is refused where, and only where, Mesos refused its form', () => {
  const refused = calls.filter((call) => {
    try {
      decodeCall(call.bytes, call.encoding);
      return false;
    } catch (error) {
      assert.ok(error instanceof CodecError, call.where);
      return true;
    }
  });
  assert.deepEqual(
    refused.map(({ where }) => where),
    calls.filter(refusedForItsForm).map(({ where }) => where),
  );
  assert.ok(refused.length > 5);
});

test('recordings: every call that a real Mesos could read survives both encodings', () => {
  const good = calls.filter((call) => !refusedForItsForm(call));
  assert.ok(good.length > 850, `${good.length} calls`);
  good.forEach(survives);
});

test('recordings: the operator calls, answers and events survive both encodings', () => {
  assert.ok(operator.length > 130, `${operator.length} messages`);
  operator.forEach(survives);
});

test('recordings: the raw stream, byte by byte, gives the records that were recorded', () => {
  let records = 0;
  for (const { name, lines } of readTranscripts()) {
    const readers = new Map<string, RecordReader>();
    for (const { conn = '', kind, data_b64 } of lines) {
      if (kind !== 'chunk' || data_b64 === undefined) continue;
      const reader = readers.get(conn) ?? new RecordReader(1_000_000);
      readers.set(conn, reader);
      const answer = lines.find((line) => line.kind === 'response' && line.conn === conn);
      const encoding: Encoding = answer?.headers?.['Content-Type']?.endsWith('json')
        ? 'json'
        : 'protobuf';
      for (const byte of Buffer.from(data_b64, 'base64')) {
        for (const record of reader.push(Uint8Array.of(byte))) {
          assert.ok(decodeEvent(record, encoding).type, name);
          records += 1;
        }
      }
    }
  }
  assert.equal(records, 24);
});
