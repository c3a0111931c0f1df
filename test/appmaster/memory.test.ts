import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jobManagerMemory, memoryFlags, memorySettings } from '#deploy/appmaster/memory.ts';
import { Configuration } from '#runtime/config/configuration.ts';
import { ConfigurationError } from '#runtime/errors.ts';

const mebibyte = 2 ** 20;

function memoryOf(sizes: Readonly<Record<string, string>>) {
  const settings = Object.entries(sizes).map(([key, value]) => ({
    key: `jobmanager.${key}`,
    value,
    origin: '-D',
  }));
  return jobManagerMemory(new Configuration(settings));
}

test("appmaster: the JobManager's 1600m are split as Flink's documentation shows", () => {
  const memory = memoryOf({ 'memory.process.size': '1600m' });
  assert.deepEqual(memoryFlags(memory), [
    '-Xmx1073741824',
    '-Xms1073741824',
    '-XX:MaxMetaspaceSize=268435456',
  ]);
  assert.deepEqual(Object.fromEntries(memorySettings(memory)), {
    'jobmanager.memory.heap.size': '1073741824b',
    'jobmanager.memory.off-heap.size': '134217728b',
    'jobmanager.memory.jvm-metaspace.size': '268435456b',
    'jobmanager.memory.jvm-overhead.min': '201326592b',
    'jobmanager.memory.jvm-overhead.max': '201326592b',
  });
  assert.deepEqual(memoryOf({}), memory);
});

test('appmaster: a JobManager of 4g gets the overhead that Flink computes with its 32-bit fraction', () => {
  assert.equal(memoryOf({ 'memory.process.size': '4g' }).overhead, 429_496_736);
});

test('appmaster: an explicit heap adds up to the process around it', () => {
  const memory = memoryOf({ 'memory.heap.size': '1024m' });
  const total = memory.heap + memory.offHeap + memory.metaspace + memory.overhead;
  assert.equal(memory.heap, 1024 * mebibyte);
  assert.equal(total, 1600 * mebibyte);
});

test('appmaster: the heap key of old configurations still means the heap', () => {
  assert.equal(memoryOf({ 'heap.size': '512m' }).heap, 512 * mebibyte);
  assert.equal(memoryOf({ 'heap.mb': '512' }).heap, 512 * mebibyte);
});

test('appmaster: a limit of direct memory becomes a flag when it is asked for', () => {
  const memory = memoryOf({ 'memory.enable-jvm-direct-memory-limit': 'true' });
  assert.ok(memoryFlags(memory).includes('-XX:MaxDirectMemorySize=134217728'));
});

test('appmaster: sizes that contradict each other are refused with the key to change', () => {
  const wrong: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ 'memory.process.size': '500m' }, /memory\.process\.size: 500m leaves no heap/],
    [{ 'memory.flink.size': '100m' }, /memory\.flink\.size: 100m leaves no heap/],
    [
      { 'memory.flink.size': '1g', 'memory.heap.size': '1g' },
      /set only one of jobmanager\.memory\.flink\.size/,
    ],
    [
      { 'memory.process.size': '4g', 'memory.heap.size': '1g' },
      /leaves 2688m of overhead, allowed is 192m to 1024m/,
    ],
    [{ 'memory.process.size': 'plenty' }, /memory\.process\.size: "plenty".*memory size/],
  ];
  for (const [sizes, message] of wrong) {
    assert.throws(
      () => memoryOf(sizes),
      (error) => error instanceof ConfigurationError && message.test(error.message),
    );
  }
});

test('appmaster: the parts of a process always add up to its size', () => {
  fc.assert(
    fc.property(fc.integer({ min: 600, max: 100_000 }), (megabytes) => {
      const memory = memoryOf({ 'memory.process.size': `${megabytes}m` });
      const total = memory.heap + memory.offHeap + memory.metaspace + memory.overhead;
      return total === megabytes * mebibyte && memory.heap > 0;
    }),
  );
});
