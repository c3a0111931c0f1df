import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startMesos } from '#test/world/mesos.ts';
import { startPart } from '#test/world/part.ts';
import { until } from '#test/world/until.ts';
import { Scheduler } from './scheduler.ts';

test('mesos: simulated agents in a process of their own bring their tasks back to a new master', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'drey-simulated-'));
  const parts: { stop(): Promise<void> }[] = [];
  try {
    const world = {
      dir,
      start: async (options: Omit<Parameters<typeof startPart>[0], 'dir'>) => {
        const part = await startPart({ ...options, dir });
        parts.push(part);
        return part;
      },
    };
    const flags = [`--registry=${join(dir, 'registry.json')}`, '--allocation-interval=0.2'];
    const mesos = await startMesos(world, { simulatedApart: 3, flags });
    const first = await Scheduler.subscribe(mesos.address, { info: { id: { value: 'F' } } });
    await first.launch((agent_id) => [
      {
        name: 't',
        task_id: { value: 't' },
        agent_id: { value: agent_id },
        resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 1 } }],
        command: { value: 'true' },
      },
    ]);
    const runs = async (): Promise<boolean> => {
      const [framework] = await mesos.frameworks();
      return framework?.tasks[0]?.state === 'TASK_RUNNING';
    };
    await until(runs, { deadlineMs: 60_000, what: 'the task runs' });
    await mesos.master.kill('SIGKILL');
    await mesos.master.restart();
    const second = await Scheduler.subscribe(mesos.address, { info: { id: { value: 'F' } } });
    await until(runs, { deadlineMs: 60_000, what: 'the new master knows the task' });
    assert.equal((await mesos.framework()).tasks.length, 1);
    await Promise.all([first.close(), second.close()]);
  } finally {
    await Promise.all(parts.map((part) => part.stop()));
    await rm(dir, { recursive: true, force: true });
  }
});
