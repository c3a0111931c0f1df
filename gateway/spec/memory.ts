import type { Configuration } from '#runtime/config/configuration.ts';
import { ConfigurationError } from '#runtime/errors.ts';

const mebi = 2 ** 20;

/** What the parts of a TaskManager's memory come to, in bytes; the names are Flink's. */
interface Split {
  readonly process: number;
  readonly frameworkHeap: number;
  readonly taskHeap: number;
  readonly frameworkOffHeap: number;
  readonly taskOffHeap: number;
  readonly network: number;
  readonly managed: number;
  readonly metaspace: number;
  readonly overhead: number;
}

/** A TaskManager's size and the flags that make its JVM keep to it. */
export interface TaskManagerMemory {
  readonly memMb: number;
  readonly jvm: string;
  readonly dynamic: readonly string[];
}

/**
 * Divides `taskmanager.memory.process.size` (or builds it up from `flink.size`) as Flink does, for
 * workers that Flink did not ask for itself. Undefined when neither is set.
 * @throws ConfigurationError when the parts do not fit.
 */
export function taskManagerMemory(config: Configuration): TaskManagerMemory | undefined {
  const split = splitOf(config);
  if (split === undefined) return undefined;
  const heap = split.frameworkHeap + split.taskHeap;
  const direct = split.frameworkOffHeap + split.taskOffHeap + split.network;
  return {
    memMb: Math.ceil(split.process / mebi),
    jvm: `-Xmx${heap} -Xms${heap} -XX:MaxDirectMemorySize=${direct} -XX:MaxMetaspaceSize=${split.metaspace}`,
    dynamic: [
      `taskmanager.memory.framework.heap.size=${split.frameworkHeap}b`,
      `taskmanager.memory.task.heap.size=${split.taskHeap}b`,
      `taskmanager.memory.framework.off-heap.size=${split.frameworkOffHeap}b`,
      `taskmanager.memory.task.off-heap.size=${split.taskOffHeap}b`,
      `taskmanager.memory.network.min=${split.network}b`,
      `taskmanager.memory.network.max=${split.network}b`,
      `taskmanager.memory.managed.size=${split.managed}b`,
      `taskmanager.memory.jvm-metaspace.size=${split.metaspace}b`,
      `taskmanager.memory.jvm-overhead.min=${split.overhead}b`,
      `taskmanager.memory.jvm-overhead.max=${split.overhead}b`,
    ],
  };
}

function splitOf(config: Configuration): Split | undefined {
  const bytes = (name: string, fallback: number): number =>
    config.memoryBytes(`taskmanager.memory.${name}`) ?? fallback;
  const metaspace = bytes('jvm-metaspace.size', 256 * mebi);
  const outer = outerSizes(config, metaspace);
  if (outer === undefined) return undefined;
  const { process, flink } = outer;
  const overhead = process - flink - metaspace;
  const frameworkHeap = bytes('framework.heap.size', 128 * mebi);
  const frameworkOffHeap = bytes('framework.off-heap.size', 128 * mebi);
  const taskOffHeap = bytes('task.off-heap.size', 0);
  const managed = bytes('managed.size', Math.floor(flink * fraction(config, 'managed', 0.4)));
  const network = clamp(
    Math.floor(flink * fraction(config, 'network', 0.1)),
    bytes('network.min', 64 * mebi),
    bytes('network.max', Number.MAX_SAFE_INTEGER),
  );
  const taskHeap = bytes(
    'task.heap.size',
    flink - frameworkHeap - frameworkOffHeap - taskOffHeap - managed - network,
  );
  const used = frameworkHeap + taskHeap + frameworkOffHeap + taskOffHeap + managed + network;
  if (taskHeap < 0 || used > flink) {
    throw new ConfigurationError(
      'taskmanager.memory.process.size',
      `${Math.floor(process / mebi)} MiB is too small for the parts of a TaskManager; raise it or lower taskmanager.memory.managed.size`,
    );
  }
  const parts = { frameworkHeap, taskHeap, frameworkOffHeap, taskOffHeap, network, managed };
  return { process, ...parts, metaspace, overhead };
}

/** Process and Flink size; one of them is given, between them lie metaspace and overhead. */
function outerSizes(
  config: Configuration,
  metaspace: number,
): { readonly process: number; readonly flink: number } | undefined {
  const share = fraction(config, 'jvm-overhead', 0.1);
  const min = config.memoryBytes('taskmanager.memory.jvm-overhead.min') ?? 192 * mebi;
  const max = config.memoryBytes('taskmanager.memory.jvm-overhead.max') ?? 1024 * mebi;
  const process =
    config.memoryBytes('taskmanager.memory.process.size') ??
    config.memoryBytes('taskmanager.heap.size');
  if (process !== undefined) {
    return { process, flink: process - metaspace - clamp(Math.floor(process * share), min, max) };
  }
  const flink = config.memoryBytes('taskmanager.memory.flink.size');
  if (flink === undefined) return undefined;
  const inner = flink + metaspace;
  return { process: inner + clamp(Math.floor((inner * share) / (1 - share)), min, max), flink };
}

function fraction(config: Configuration, part: string, fallback: number): number {
  return config.double(`taskmanager.memory.${part}.fraction`, { min: 0, max: 0.99 }) ?? fallback;
}

function clamp(value: number, min: number, max: number): number {
  return Math.max(min, Math.min(max, value));
}
