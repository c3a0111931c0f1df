import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeCall,
  decodeEvent,
  decodeMessage,
  type Encoding,
  encodeCall,
  encodeEvent,
  encodeMessage,
} from '#proto/mesos/codec.ts';
import { CodecError } from '#proto/mesos/codec-error.ts';
import type { ContainerID, SchedulerCall, TaskInfo } from '#proto/mesos/types.ts';

const encodings: readonly Encoding[] = ['protobuf', 'json'];
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const refuses = (pattern: RegExp) => (error: unknown) =>
  error instanceof CodecError && error.code === 'DREY_CODEC' && pattern.test(error.message);

test('codec: an event type from the future is no type, never another one', () => {
  assert.deepEqual(decodeEvent(hex('08 63'), 'protobuf'), {});
  // 2^32 + 4 cut to 32 bits would be UPDATE.
  assert.deepEqual(decodeEvent(hex('08 84 80 80 80 10'), 'protobuf'), {});
  assert.deepEqual(decodeEvent(hex('08 ff ff ff ff ff ff ff ff ff 01'), 'protobuf'), {});
  assert.deepEqual(decodeEvent(json({ type: 'BEYOND' }), 'json'), {});
  assert.deepEqual(decodeEvent(json({ type: 99 }), 'json'), {});
  assert.deepEqual(decodeEvent(json({ type: 8 }), 'json'), { type: 'HEARTBEAT' });
});

test('codec: a task state from the future makes the update unreadable, naming the field', () => {
  const status = hex('0a 03 0a 01 74 10 63');
  const naming = refuses(/^mesos\.v1\.TaskStatus\.state: /);
  assert.throws(() => decodeMessage('TaskStatus', status, 'protobuf'), naming);
  const named = json({ task_id: { value: 't' }, state: 'TASK_DREAMING' });
  assert.throws(() => decodeMessage('TaskStatus', named, 'json'), refuses(/state.*TASK_DREAMING/));
});

test('codec: an unknown capability among known ones is left out', () => {
  const framework = { user: 'u', name: 'n', capabilities: [{ type: 'TELEPATHY' }, {}] };
  const read = decodeMessage('FrameworkInfo', json(framework), 'json');
  assert.deepEqual(read.capabilities, [{}, {}]);
});

test('codec: fields that a newer Mesos adds are ignored', () => {
  const heartbeat = hex('08 08 fa 3e 03 61 62 63 f8 3e 01 fb 3e 08 01 fc 3e');
  assert.deepEqual(decodeEvent(heartbeat, 'protobuf'), { type: 'HEARTBEAT' });
  const named = json({ type: 'HEARTBEAT', mood: { of: ['the', 'day'] }, ['__proto__']: 1 });
  assert.deepEqual(decodeEvent(named, 'json'), { type: 'HEARTBEAT' });
});

test('codec: a call of type UNKNOWN or without type is never written', () => {
  for (const encoding of encodings) {
    for (const call of [{}, { type: 'UNKNOWN' }, { type: undefined }] as SchedulerCall[]) {
      assert.throws(() => encodeCall(call, encoding), refuses(/scheduler\.Call\.type: .*aborts/));
    }
  }
});

test('codec: a call without type can be read, so that a master can answer it', () => {
  assert.deepEqual(decodeCall(new Uint8Array(), 'protobuf'), {});
  assert.deepEqual(decodeCall(json({ type: 'REWIND' }), 'json'), {});
});

test('codec: what is missing or does not fit is named when a message is written', () => {
  const broken: readonly [unknown, RegExp][] = [
    [{ name: 't', task_id: { value: 't' }, agent_id: {} }, /AgentID\.value: required/],
    [{ name: 't', task_id: { value: 't' } }, /TaskInfo\.agent_id: required/],
    [{ name: 7, task_id: { value: 't' }, agent_id: { value: 'a' } }, /TaskInfo\.name: .* not 7/],
    [{ name: null }, /TaskInfo\.name: .*null/],
    [{ name: '\ud800' }, /TaskInfo\.name: must be a well-formed text/],
    [{ name: 't', task_id: [] }, /TaskInfo\.task_id: must be an object/],
    ['t', /TaskInfo: must be an object/],
  ];
  for (const encoding of encodings) {
    for (const [task, message] of broken) {
      assert.throws(() => encodeMessage('TaskInfo', task as TaskInfo, encoding), refuses(message));
    }
  }
});

test('codec: integers are whole and in range', () => {
  const bad = [-1, 1.5, 2 ** 32, Number.NaN, '5051'] as number[];
  for (const encoding of encodings) {
    for (const host_port of bad) {
      const port = { host_port, container_port: 1 };
      const write = () => encodeMessage('NetworkInfoPortMapping', port, encoding);
      assert.throws(write, refuses(/host_port: must be an integer of uint32/));
    }
  }
  for (const bad of ['1.5', '"x"', '1e30', '-1', 'true', '[]', '""']) {
    const range = Buffer.from(`{"begin": ${bad}, "end": 1}`);
    assert.throws(() => decodeMessage('ValueRange', range, 'json'), refuses(/Value\.Range\.begin/));
  }
});

test('codec: 64-bit integers are read from JSON as number or text', () => {
  const range = decodeMessage('ValueRange', json({ begin: '31000', end: 31999 }), 'json');
  assert.deepEqual(range, { begin: 31000, end: 31999 });
});

test('codec: a time in nanoseconds is right to 256 ns and survives as it is', () => {
  const nanoseconds = Number('1795377851807279104');
  for (const encoding of encodings) {
    const bytes = encodeMessage('TimeInfo', { nanoseconds }, encoding);
    assert.deepEqual(decodeMessage('TimeInfo', bytes, encoding), { nanoseconds });
  }
  const odd = decodeMessage('TimeInfo', Buffer.from('{"nanoseconds":1795377851807279105}'), 'json');
  assert.ok(Math.abs(odd.nanoseconds - nanoseconds) <= 256);
});

test('codec: the ends of the 64-bit ranges read as the nearest numbers, and can be written', () => {
  const ends: readonly ['TimeInfo' | 'ValueRange', string, string][] = [
    ['TimeInfo', '08 ff ff ff ff ff ff ff ff 7f', '{"nanoseconds":9223372036854775807}'],
    ['TimeInfo', '08 80 80 80 80 80 80 80 80 80 01', '{"nanoseconds":"-9223372036854775808"}'],
    [
      'ValueRange',
      '08 ff ff ff ff ff ff ff ff ff 01 10 00',
      '{"begin":18446744073709551615,"end":0}',
    ],
  ];
  for (const [name, binary, text] of ends) {
    const message = decodeMessage(name, hex(binary), 'protobuf');
    assert.deepEqual(decodeMessage(name, Buffer.from(text), 'json'), message);
    for (const encoding of encodings) {
      const again = decodeMessage(name, encodeMessage(name, message, encoding), encoding);
      assert.deepEqual(again, message);
    }
  }
});

test('codec: bytes are base64 in JSON, and a copy of their own', () => {
  const event = { type: 'MESSAGE', message: { data: new Uint8Array([0, 255, 62]) } } as const;
  const whole = {
    ...event,
    message: { ...event.message, agent_id: { value: 'a' }, executor_id: { value: 'e' } },
  };
  const text = Buffer.from(encodeEvent(whole, 'json')).toString();
  assert.match(text, /"data":"AP8\+"/);
  assert.deepEqual(decodeEvent(Buffer.from(text), 'json'), whole);
  const binary = encodeEvent(whole, 'protobuf');
  const read = decodeEvent(binary, 'protobuf');
  binary.fill(0);
  assert.deepEqual(read, whole);
  const broken = text.replace('AP8+', 'AP8*');
  assert.throws(() => decodeEvent(Buffer.from(broken), 'json'), refuses(/data: must be base64/));
});

test('codec: bytes in the middle of a larger buffer are read where they are', () => {
  const large = new Uint8Array([9, 9, 0x08, 0x08, 9]);
  assert.deepEqual(decodeEvent(large.subarray(2, 4), 'protobuf'), { type: 'HEARTBEAT' });
});

test('codec: repeated numbers may come packed', () => {
  const http = { port: 80, statuses: [200, 404] };
  const packed = hex('08 50 22 04 c8 01 94 03');
  const field = encodeMessage('HealthCheckHTTPCheckInfo', http, 'protobuf');
  assert.deepEqual(decodeMessage('HealthCheckHTTPCheckInfo', field, 'protobuf'), http);
  assert.deepEqual(decodeMessage('HealthCheckHTTPCheckInfo', packed, 'protobuf'), http);
});

test('codec: a message that comes in two parts is one', () => {
  const one = { type: 'REVIVE', revive: { roles: ['a'] } } as const;
  const two = { type: 'REVIVE', revive: { roles: ['b'] } } as const;
  const parts = Buffer.concat([encodeCall(one, 'protobuf'), encodeCall(two, 'protobuf')]);
  assert.deepEqual(decodeCall(parts, 'protobuf'), {
    type: 'REVIVE',
    revive: { roles: ['a', 'b'] },
  });
});

test('codec: of a oneof the last counts, and two are not written', () => {
  const name = 'SchedulerAttributeConstraintSelector';
  const both = { attribute_name: 'rack', pseudoattribute_type: 'HOSTNAME' } as const;
  assert.equal(Object.keys(decodeMessage(name, json(both), 'json')).length, 1);
  const parts = [{ attribute_name: 'rack' }, { pseudoattribute_type: 'HOSTNAME' }] as const;
  const binary = Buffer.concat(parts.map((part) => encodeMessage(name, part, 'protobuf')));
  assert.deepEqual(decodeMessage(name, binary, 'protobuf'), parts[1]);
  for (const encoding of encodings) {
    assert.throws(() => encodeMessage(name, both, encoding), refuses(/set together with/));
  }
});

test('codec: a map may have any key', () => {
  const limits = JSON.parse('{"cpus":{"value":1},"__proto__":{"value":2},"":{"value":3}}');
  const task: TaskInfo = { name: 't', task_id: { value: 't' }, agent_id: { value: 'a' }, limits };
  for (const encoding of encodings) {
    const read = decodeMessage('TaskInfo', encodeMessage('TaskInfo', task, encoding), encoding);
    assert.deepEqual(Object.entries(read.limits ?? {}), Object.entries(limits));
  }
});

test('codec: nesting without end is refused in every direction', () => {
  let deep: ContainerID = { value: 'c' };
  for (let depth = 0; depth < 50; depth++) deep = { value: 'c', parent: deep };
  for (const encoding of encodings) {
    const bytes = encodeMessage('ContainerID', deep, encoding);
    assert.deepEqual(decodeMessage('ContainerID', bytes, encoding), deep);
  }
  for (let depth = 0; depth < 100_000; depth++) deep = { value: 'c', parent: deep };
  for (const encoding of encodings) {
    assert.throws(() => encodeMessage('ContainerID', deep, encoding), refuses(/too deeply/));
  }
  const text = `${'{"value":"c","parent":'.repeat(200)}{"value":"c"}${'}'.repeat(200)}`;
  assert.throws(() => decodeMessage('ContainerID', Buffer.from(text), 'json'), refuses(/deeply/));
  const lists = `{"unknown":${'['.repeat(1_000_000)}`;
  assert.throws(() => decodeEvent(Buffer.from(lists), 'json'), refuses(/not JSON/));
  const groups = new Uint8Array(100_000).fill(0x7b);
  assert.throws(() => decodeMessage('ContainerID', groups, 'protobuf'), refuses(/depth/));
});

test('codec: cut or overlong bytes are refused with the message they broke in', () => {
  const broken = [
    '0a 05 0a 01',
    '12 7f',
    '08',
    '08 ff ff ff ff ff ff ff ff ff ff 01',
    '07',
    '00 01',
  ];
  for (const bytes of broken) {
    assert.throws(() => decodeEvent(hex(bytes), 'protobuf'), refuses(/^mesos\.v1\./));
  }
  // The id's length reaches beyond the offer that holds it, into the next field.
  const beyond = hex('1a 06 0a 04 0a 05 61 62 12 00');
  assert.throws(() => decodeEvent(beyond, 'protobuf'), refuses(/^mesos\.v1\./));
});

test('codec: JSON that is no such message is refused', () => {
  for (const text of ['', '{', '[]', 'null', '7', '{"offers": 7}', '{"offers":{"offers":{}}}']) {
    assert.throws(() => decodeEvent(Buffer.from(text), 'json'), refuses(/^mesos\.v1\./), text);
  }
});

test('codec: a number that JSON cannot carry is refused there only', () => {
  const scalar = { value: Number.POSITIVE_INFINITY };
  const bytes = encodeMessage('ValueScalar', scalar, 'protobuf');
  assert.deepEqual(decodeMessage('ValueScalar', bytes, 'protobuf'), scalar);
  assert.throws(() => encodeMessage('ValueScalar', scalar, 'json'), refuses(/Scalar\.value/));
  const huge = Buffer.from('{"value":1e999}');
  assert.throws(() => decodeMessage('ValueScalar', huge, 'json'), refuses(/Scalar\.value/));
});
