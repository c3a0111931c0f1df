import { Buffer } from 'node:buffer';
import type { Offer, TaskState, TaskStatus } from '#proto/mesos/types.ts';
import type { TickMessage } from '#proto/messages.ts';
import {
  type FleetRecord,
  type FrameworkRecord,
  recordPathsOf,
  type WorkerRecord,
} from '#proto/records.ts';
import type { ClusterSettings, SpecRecord } from '#proto/spec.ts';
import type { Moment } from '#runtime/function.ts';
import type { Versioned } from '#runtime/store/ops.ts';
import type { StoreOp } from '#runtime/store/store.ts';
import type { HeardTick } from '../../functions/shared/heard.ts';

/** Records, events and moments as tests build them: only what a test names differs from these. */
export const paths = recordPathsOf('/drey', 'test');
export const now = 1_000_000;

export function moment(over: Partial<Moment> = {}): Moment {
  return { now, op: 'op-1', random: 0.5, ...over };
}

export function read<T>(path: string, value: T, version = 3): Versioned<T> {
  return { path, version, value };
}

export function framework(over: Partial<FrameworkRecord> = {}): Versioned<FrameworkRecord> {
  return read(paths.framework, {
    v: 1,
    op: 'before',
    id: 'drey-1',
    epoch: 7,
    firstEpoch: 1,
    gateway: 'g1',
    masterId: 'm1',
    masterChangedAt: 0,
    state: 'active',
    fenced: [],
    ...over,
  });
}

export function settings(over: Partial<ClusterSettings> = {}): ClusterSettings {
  return {
    framework: {
      name: 'Flink',
      user: 'root',
      roles: ['*'],
      hostname: 'localhost',
      failoverTimeoutSeconds: 604800,
      gpus: false,
    },
    task: {
      command: '$FLINK_HOME/bin/mesos-taskmanager.sh',
      environment: { FLINK_HOME: '.' },
      uris: [],
      labels: {},
      killGraceSeconds: 10,
    },
    worker: { size },
    networkResource: 'network',
    hostAttributes: [],
    offers: { refuseSeconds: 5, idleRefuseSeconds: 300 },
    demand: { mode: 'driver', target: 0 },
    failures: {
      maxPerMinute: 3,
      pauseMs: 3000,
      launchTimeoutMs: 60_000,
      unreachableGraceMs: 60_000,
      killRepeatMs: 5000,
      agentPenaltyMs: 10_000,
    },
    reconcile: {
      explicitBaseMs: 1000,
      explicitMaxMs: 60_000,
      implicitEveryMs: 900_000,
      batch: 2,
      masterSettleMs: 600_000,
    },
    ...over,
  };
}

export const size = {
  cpus: 1,
  memMb: 1024,
  diskMb: 0,
  gpus: 0,
  network: 0,
  slots: 2,
  ports: ['taskmanager.data.port', 'taskmanager.rpc.port'],
};

export function spec(
  over: Partial<ClusterSettings> = {},
  overrides: SpecRecord['overrides'] = {},
): Versioned<SpecRecord> {
  return read(paths.spec, {
    v: 1,
    op: 'before',
    generation: 1,
    cluster: 'test',
    configured: settings(over),
    overrides,
  });
}

export function fleet(counter = 0): Versioned<FleetRecord> {
  return read(paths.fleet, { v: 1, op: 'before', counter });
}

export function worker(
  number: number,
  over: Partial<WorkerRecord> = {},
  version = 3,
): Versioned<WorkerRecord> {
  const id = `taskmanager-${String(number).padStart(5, '0')}`;
  const launched = over.state !== undefined && over.state !== 'wanted';
  return read(
    paths.worker(id),
    {
      v: 1,
      op: 'before',
      id,
      kind: 'taskmanager',
      state: 'wanted',
      generation: 1,
      size,
      spoke: 7,
      confirmed: false,
      times: { wanted: now - 10_000, [over.state ?? 'wanted']: now - 5000 },
      why: 'built',
      ...(launched
        ? { agentId: 'a1', launch: { op: 'l', offerIds: ['o1'], epoch: 7, at: now - 5000 } }
        : {}),
      ...over,
    },
    version,
  );
}

/** A tick of the leading gateway in the present epoch. */
export function tick(over: Partial<TickMessage> = {}): HeardTick {
  return {
    kind: 'tick',
    tick: {
      time: now,
      epoch: 7,
      gateway: 'g',
      subscribed: true,
      missed: 0,
      offersAt: 0,
      revivedAt: 0,
      revives: 0,
      suppressed: false,
      lent: 0,
      ...over,
    },
  };
}

export function byId(
  ...workers: readonly Versioned<WorkerRecord>[]
): Map<string, Versioned<WorkerRecord>> {
  return new Map(workers.map((one) => [one.value.id, one]));
}

export function offer(
  id: string,
  over: {
    readonly agent?: string;
    readonly cpus?: number;
    readonly mem?: number;
    readonly ports?: number;
  } = {},
): Offer {
  const first = 31_000;
  return {
    id: { value: id },
    framework_id: { value: 'drey-1' },
    agent_id: { value: over.agent ?? `agent-of-${id}` },
    hostname: 'h1',
    resources: [
      { name: 'cpus', type: 'SCALAR', scalar: { value: over.cpus ?? 4 }, role: '*' },
      { name: 'mem', type: 'SCALAR', scalar: { value: over.mem ?? 8192 }, role: '*' },
      {
        name: 'ports',
        type: 'RANGES',
        ranges: { range: [{ begin: first, end: first + (over.ports ?? 1000) - 1 }] },
        role: '*',
      },
    ],
  };
}

export function status(
  taskId: string,
  state: TaskState,
  over: Partial<TaskStatus> = {},
): TaskStatus {
  return {
    task_id: { value: taskId },
    state,
    agent_id: { value: 'a1' },
    timestamp: now / 1000,
    uuid: Buffer.from(`${taskId}-${state}`.padEnd(16).slice(0, 16)),
    ...over,
  };
}

/** What a master says by itself: no uuid, nothing to acknowledge. */
export function answer(taskId: string, state: TaskState): TaskStatus {
  const { uuid: _uuid, ...rest } = status(taskId, state);
  return { ...rest, source: 'SOURCE_MASTER', reason: 'REASON_RECONCILIATION' };
}

/** The record that a decision writes at a path. */
export function written(ops: readonly StoreOp[], path: string): Record<string, unknown> {
  const op = ops.find((one) => one.path === path && (one.kind === 'set' || one.kind === 'create'));
  if (op === undefined || !('data' in op)) throw new Error(`nothing is written at ${path}`);
  return JSON.parse(op.data);
}

/** The transaction in short: kind and path below the cluster. */
export function brief(ops: readonly StoreOp[]): string[] {
  return ops.map((op) => `${op.kind} ${op.path.slice(paths.base.length + 1)}`);
}
