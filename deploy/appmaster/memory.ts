import type { Configuration } from '#runtime/config/configuration.ts';
import { ConfigurationError } from '#runtime/errors.ts';

/** The parts of a JobManager's process, in bytes, as Flink splits them. */
export interface JobManagerMemory {
  readonly heap: number;
  readonly offHeap: number;
  readonly metaspace: number;
  readonly overhead: number;
  /** Whether off-heap is a limit of the JVM too. */
  readonly directLimit: boolean;
}

const mebibyte = 2 ** 20;

/** Flink's own configuration file asks for this much; without any key it is taken. */
const defaultProcessSize = 1600 * mebibyte;

const key = {
  process: 'jobmanager.memory.process.size',
  flink: 'jobmanager.memory.flink.size',
  heap: 'jobmanager.memory.heap.size',
  offHeap: 'jobmanager.memory.off-heap.size',
  metaspace: 'jobmanager.memory.jvm-metaspace.size',
  overheadMin: 'jobmanager.memory.jvm-overhead.min',
  overheadMax: 'jobmanager.memory.jvm-overhead.max',
  overheadFraction: 'jobmanager.memory.jvm-overhead.fraction',
  directLimit: 'jobmanager.memory.enable-jvm-direct-memory-limit',
  oldHeap: 'jobmanager.heap.size',
  oldHeapMb: 'jobmanager.heap.mb',
} as const;

/**
 * Splits the JobManager's process by Flink's rules: an explicit heap wins over the size of Flink's
 * part, and that over the size of the process. @throws ConfigurationError where the sizes contradict.
 */
export function jobManagerMemory(configuration: Configuration): JobManagerMemory {
  const offHeap = configuration.memoryBytes(key.offHeap) ?? 128 * mebibyte;
  const metaspace = configuration.memoryBytes(key.metaspace) ?? 256 * mebibyte;
  const directLimit = configuration.boolean(key.directLimit) ?? false;
  const flink = flinkSize(configuration, offHeap);
  if (flink !== undefined) {
    const overhead = overheadAround(configuration, flink + metaspace);
    return { heap: flink - offHeap, offHeap, metaspace, overhead, directLimit };
  }
  const total = configuration.memoryBytes(key.process) ?? defaultProcessSize;
  const overhead = overheadRange(configuration).of(total, fractionOf(configuration));
  const heap = total - overhead - metaspace - offHeap;
  if (heap <= 0) {
    throw new ConfigurationError(
      key.process,
      `${shown(total)} leaves no heap beside ${shown(offHeap)} off-heap, ${shown(metaspace)} metaspace ` +
        `and ${shown(overhead)} overhead; raise it or lower ${key.metaspace}`,
    );
  }
  return { heap, offHeap, metaspace, overhead, directLimit };
}

/** The JVM's flags for this split. */
export function memoryFlags(memory: JobManagerMemory): readonly string[] {
  const flags = [`-Xmx${memory.heap}`, `-Xms${memory.heap}`];
  if (memory.directLimit) flags.push(`-XX:MaxDirectMemorySize=${memory.offHeap}`);
  return [...flags, `-XX:MaxMetaspaceSize=${memory.metaspace}`];
}

/** What the JobManager is told about itself, so that its page shows the true sizes. */
export function memorySettings(memory: JobManagerMemory): ReadonlyMap<string, string> {
  return new Map([
    [key.heap, `${memory.heap}b`],
    [key.offHeap, `${memory.offHeap}b`],
    [key.metaspace, `${memory.metaspace}b`],
    [key.overheadMin, `${memory.overhead}b`],
    [key.overheadMax, `${memory.overhead}b`],
  ]);
}

/** Heap and off-heap together, when either of them or their sum is configured. */
function flinkSize(configuration: Configuration, offHeap: number): number | undefined {
  const flink = configuration.memoryBytes(key.flink);
  const heap = configuration.memoryBytes(key.heap) ?? oldHeap(configuration);
  if (heap !== undefined) {
    if (flink !== undefined && flink !== heap + offHeap) {
      throw new ConfigurationError(
        key.flink,
        `${shown(flink)} is not the sum of heap ${shown(heap)} and off-heap ${shown(offHeap)}; ` +
          `set only one of ${key.flink} and ${key.heap}`,
      );
    }
    return heap + offHeap;
  }
  if (flink !== undefined && flink <= offHeap) {
    throw new ConfigurationError(
      key.flink,
      `${shown(flink)} leaves no heap beside ${shown(offHeap)} off-heap; raise it or lower ${key.offHeap}`,
    );
  }
  return flink;
}

/** The keys of old configurations: on Mesos they meant the heap; a bare number counts MiB. */
function oldHeap(configuration: Configuration): number | undefined {
  const megabytes = configuration.int(key.oldHeapMb, { min: 1 });
  return configuration.memoryBytes(key.oldHeap) ?? (megabytes && megabytes * mebibyte);
}

/** The overhead when everything else is fixed: what is left of the process, or its fraction. */
function overheadAround(configuration: Configuration, rest: number): number {
  const range = overheadRange(configuration);
  const total = configuration.memoryBytes(key.process);
  if (total === undefined) {
    const fraction = fractionOf(configuration);
    return range.of(rest, fraction / (1 - fraction));
  }
  const overhead = total - rest;
  if (overhead < range.min || overhead > range.max) {
    throw new ConfigurationError(
      key.process,
      `${shown(total)} leaves ${shown(overhead)} of overhead, allowed is ${shown(range.min)} to ` +
        `${shown(range.max)}; set only one of ${key.process}, ${key.flink} and ${key.heap}`,
    );
  }
  return overhead;
}

interface Range {
  readonly min: number;
  readonly max: number;
  of(base: number, fraction: number): number;
}

function overheadRange(configuration: Configuration): Range {
  const min = configuration.memoryBytes(key.overheadMin) ?? 192 * mebibyte;
  const max = configuration.memoryBytes(key.overheadMax) ?? 1024 * mebibyte;
  if (min > max) {
    throw new ConfigurationError(key.overheadMin, `${shown(min)} is more than ${key.overheadMax}`);
  }
  return { min, max, of: (base, fraction) => clamp(Math.floor(base * fraction), min, max) };
}

/** Flink reads the fraction as a float of 32 bits; the sizes are to be the same to the byte. */
function fractionOf(configuration: Configuration): number {
  return Math.fround(configuration.double(key.overheadFraction, { min: 0, max: 0.99 }) ?? 0.1);
}

function clamp(size: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, size));
}

function shown(bytes: number): string {
  return `${Math.floor(bytes / mebibyte)}m`;
}
