import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide, type UpdatesState } from '#functions/updates/decide.ts';
import type { TaskStatus } from '#proto/mesos/types.ts';
import { frameworkRecord, recordPathsOf, type WorkerRecord } from '#proto/records.ts';
import { simulatedSettings } from './settings.ts';
import { simulate } from './simulate.ts';

/** What the simulation has found about a ZooKeeper that was restored from an old copy. */

const now = Date.UTC(2026, 0, 1);
const id = 'taskmanager-00007';
const paths = recordPathsOf('/drey', 'sim');

function stateWith(worker: WorkerRecord): UpdatesState {
  const configured = simulatedSettings('fixed', 1);
  const common = { v: 1, op: 'before' } as const;
  const framework = { ...common, id: 'f', epoch: 3, gateway: 'g', state: 'active' as const };
  const spec = { ...common, generation: 1, cluster: 'sim', configured, overrides: {} };
  return {
    paths,
    framework: { path: paths.framework, version: 1, value: { ...framework, fenced: [] } },
    spec: { path: `${paths.base}/spec`, version: 1, value: spec },
    reconcile: undefined,
    counter: 7,
    workers: new Map([[id, { path: paths.worker(id), version: 2, value: worker }]]),
    killedAt: new Map(),
  };
}

test('simulation found: an id that Mesos knows already holds a cluster whose store is old (seeds 5, 9)', () => {
  const worker: WorkerRecord = {
    v: 1,
    op: 'before',
    id,
    kind: 'taskmanager',
    state: 'launching',
    generation: 1,
    size: simulatedSettings('fixed', 1).worker.size,
    agentId: 'S1',
    spoke: 3,
    confirmed: true,
    times: { wanted: now, launching: now },
    why: 'placed',
  };
  const status: TaskStatus = {
    task_id: { value: id },
    state: 'TASK_ERROR',
    reason: 'REASON_TASK_INVALID',
    message: `Task has duplicate ID: ${id}`,
    agent_id: { value: 'S1' },
    timestamp: now / 1000,
  };
  const heard = { kind: 'update', epoch: 3, sequence: 4, status } as const;
  const { writes, effects } = decide(stateWith(worker), [heard], { now, op: 'op', random: 0.5 });
  assert.deepEqual(
    writes.map(({ path }) => path),
    [paths.framework],
    'the worker stays: its task lives',
  );
  const [write] = writes;
  assert.ok(write?.kind === 'set');
  assert.match(frameworkRecord.parse(JSON.parse(write.data)).held?.why ?? '', /older than the cl/);
  assert.deepEqual(effects, [], 'nothing is killed');
});

test('simulation found: with the store restored again and again nothing that lives is killed or ended', async () => {
  const profile = { certain: ['store restored', 'demand'], only: true } as const;
  for (const seed of ['5', '9', '10', '12', '40']) {
    const { violations, faults } = await simulate(seed, { tampering: {}, profile });
    assert.deepEqual(violations, [], `seed ${seed}`);
    assert.ok((faults.get('store restored') ?? 0) > 0, `seed ${seed} restores nothing`);
  }
});
