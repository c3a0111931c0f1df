import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '#test/world/until.ts';
import { Scheduler, shell } from './scheduler.ts';
import { onStage } from './stage.ts';

const watchful = [
  '--allocation-interval=0.2',
  '--agent-ping-timeout=0.4',
  '--max-agent-ping-timeouts=3',
];
const partitionAware = { capabilities: [{ type: 'PARTITION_AWARE' }] } as const;

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** A task that ends with status 3 as soon as a file is there. */
const waiting = (taskId: string, agentId: string, dir: string) =>
  shell(taskId, agentId, `until test -f ${join(dir, 'go')}; do sleep 0.05; done; exit 3`);

test('mesos: tasks outlive their agent: unreachable, back again, and how they end is known', async () => {
  await onStage(watchful, async (stage) => {
    const agent = await stage.startAgent('agent');
    const scheduler = await Scheduler.subscribe(stage.address, { info: partitionAware });
    await scheduler.launch((agentId) => [waiting('t', agentId, stage.dir)]);
    const running = await scheduler.reached('t', 'TASK_RUNNING');
    const executor = running.container_status?.executor_pid ?? 0;
    await scheduler.offer();
    await agent.kill('SIGKILL');
    await until(() => scheduler.events.some(({ type }) => type === 'RESCIND'), {
      deadlineMs: 2000,
      what: 'the offer is rescinded',
    });
    const unreachable = await scheduler.reached('t', 'TASK_UNREACHABLE');
    assert.equal(unreachable.reason, 'REASON_AGENT_REMOVED');
    await until(() => scheduler.events.at(-1)?.failure, { deadlineMs: 2000, what: 'FAILURE' });
    assert.ok(alive(executor), 'the task runs on');
    const back = await stage.startAgent('agent');
    assert.equal(back.facts.agentId, agent.facts.agentId);
    const again = await scheduler.told('t', 'REASON_AGENT_REREGISTERED');
    assert.equal(again.state, 'TASK_RUNNING');
    writeFileSync(join(stage.dir, 'go'), '');
    const failed = await scheduler.reached('t', 'TASK_FAILED');
    assert.equal(failed.message, 'Command exited with status 3');
    await scheduler.close();
  });
});

test('mesos: an update that was not acknowledged survives its agent', async () => {
  await onStage(watchful, async (stage) => {
    const agent = await stage.startAgent('agent');
    const options = { info: partitionAware, acknowledges: false };
    const scheduler = await Scheduler.subscribe(stage.address, options);
    await scheduler.launch((agentId) => [shell('t', agentId, 'true')]);
    const starting = await scheduler.reached('t', 'TASK_STARTING');
    await agent.kill('SIGKILL');
    await stage.startAgent('agent');
    const again = await until(
      () =>
        scheduler
          .updates('t')
          .filter(({ uuid }) => uuid !== undefined)
          .at(1),
      { deadlineMs: 5000, what: 'the update comes again' },
    );
    assert.deepEqual([again.state, again.uuid], [starting.state, starting.uuid]);
    await scheduler.acknowledge(again);
    // What the master says of a lost agent's task has no uuid.
    const running = await until(
      () => scheduler.updates('t').find((one) => one.state === 'TASK_RUNNING' && one.uuid),
      { deadlineMs: 10_000, what: 'the next update comes' },
    );
    await scheduler.acknowledge(running);
    const end = await scheduler.reached('t', 'TASK_FINISHED');
    assert.equal(end.message, 'Command exited with status 0');
    await scheduler.close();
  });
});

test('mesos: SIGTERM ends an agent with its tasks, and the master hears that it is gone', async () => {
  await onStage(watchful, async (stage) => {
    const agent = await stage.startAgent('agent');
    const scheduler = await Scheduler.subscribe(stage.address, { info: partitionAware });
    await scheduler.launch((agentId) => [shell('t', agentId, 'sleep 1000')]);
    const { container_status } = await scheduler.reached('t', 'TASK_RUNNING');
    assert.equal(await agent.kill('SIGTERM'), 0);
    const lost = await scheduler.reached('t', 'TASK_LOST');
    assert.deepEqual(
      [lost.reason, lost.message],
      ['REASON_AGENT_REMOVED', 'Agent 127.0.0.1 removed: the agent unregistered'],
    );
    assert.ok(!alive(container_status?.executor_pid ?? 0));
    const next = await stage.startAgent('agent');
    assert.notEqual(next.facts.agentId, agent.facts.agentId);
    await scheduler.close();
  });
});

test('mesos: a task that ignores SIGTERM is killed though its agent was started again meanwhile', async () => {
  await onStage(watchful, async (stage) => {
    const agent = await stage.startAgent('agent');
    const capabilities = [...partitionAware.capabilities, { type: 'TASK_KILLING_STATE' }] as const;
    const scheduler = await Scheduler.subscribe(stage.address, { info: { capabilities } });
    const deaf = join(stage.dir, 'deaf');
    const stubborn = `trap '' TERM; touch ${deaf}; while :; do sleep 0.1; done`;
    await scheduler.launch((agentId) => [shell('t', agentId, stubborn)]);
    await scheduler.reached('t', 'TASK_RUNNING');
    await until(() => existsSync(deaf), { deadlineMs: 10_000, what: 'the task ignores SIGTERM' });
    await scheduler.kill('t');
    await scheduler.reached('t', 'TASK_KILLING');
    await agent.kill('SIGKILL');
    await stage.startAgent('agent');
    const killed = await scheduler.reached('t', 'TASK_KILLED');
    assert.equal(killed.message, 'Command terminated with signal Killed');
    await scheduler.close();
  });
});

test('mesos: an agent told to keep its tasks leaves them to the next one', async () => {
  await onStage(watchful, async (stage) => {
    const agent = await stage.startAgent('agent', '--keep-tasks');
    const scheduler = await Scheduler.subscribe(stage.address, { info: partitionAware });
    await scheduler.launch((agentId) => [waiting('t', agentId, stage.dir)]);
    await scheduler.reached('t', 'TASK_RUNNING');
    assert.equal(await agent.kill('SIGTERM'), 0);
    writeFileSync(join(stage.dir, 'go'), '');
    await stage.startAgent('agent');
    const failed = await scheduler.reached('t', 'TASK_FAILED');
    assert.equal(failed.message, 'Command exited with status 3');
    await scheduler.close();
  });
});

test('mesos: a new master finds agents and tasks again, and keeps the framework id', async () => {
  await onStage(watchful, async (stage) => {
    await stage.startAgent('agent');
    const scheduler = await Scheduler.subscribe(stage.address, { info: partitionAware });
    await scheduler.launch((agentId) => [shell('t', agentId, 'sleep 1000')]);
    const { agent_id } = await scheduler.reached('t', 'TASK_RUNNING');
    const id = { value: scheduler.frameworkId };
    await stage.restartMaster();
    const again = await Scheduler.subscribe(stage.address, { info: { ...partitionAware, id } });
    assert.notEqual(
      again.events[0]?.subscribed?.master_info?.id,
      scheduler.events[0]?.subscribed?.master_info?.id,
    );
    const offer = await again.offer();
    assert.deepEqual(offer.agent_id, agent_id);
    const tasks = [{ task_id: { value: 't' }, agent_id }];
    await again.call({ type: 'RECONCILE', reconcile: { tasks } });
    assert.equal((await again.told('t', 'REASON_RECONCILIATION')).state, 'TASK_RUNNING');
    await again.kill('t');
    await again.reached('t', 'TASK_KILLED');
    await scheduler.close();
    await again.close();
  });
});

test('mesos: 500 simulated tasks on 100 agents are launched well within 10 s', async () => {
  const args = ['--simulate-agents=100', '--allocation-interval=0.2'];
  await onStage(args, async ({ address, get }) => {
    const scheduler = await Scheduler.subscribe(address, { encoding: 'protobuf' });
    const begun = performance.now();
    for (let n = 0; n < 100; n += 1) {
      await scheduler.launch((agentId) =>
        Array.from({ length: 5 }, (_, k) => shell(`t${n}-${k}`, agentId, 'true', { cpus: 1 })),
      );
    }
    const running = (): number =>
      new Set(
        scheduler.events.flatMap(({ update }) =>
          update?.status.state === 'TASK_RUNNING' ? [update.status.task_id.value] : [],
        ),
      ).size;
    await until(() => running() === 500, { deadlineMs: 10_000, what: 'all 500 run' });
    const seconds = (performance.now() - begun) / 1000;
    console.log(`500 simulated tasks running after ${seconds.toFixed(2)} s`);
    assert.ok(seconds < 10);
    const { launches } = (await get('/local/history')) as {
      launches: Record<string, Record<string, number>>;
    };
    const counts = Object.values(launches[scheduler.frameworkId] ?? {});
    assert.deepEqual([counts.length, Math.max(...counts)], [500, 1]);
    await scheduler.close();
  });
});
