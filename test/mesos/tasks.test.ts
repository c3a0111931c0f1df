import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '#test/world/until.ts';
import { Scheduler, shell } from './scheduler.ts';
import { onStage, type Stage } from './stage.ts';

const quick = ['--allocation-interval=0.2'];

/** The sandbox of a task's only run. */
function sandbox(stage: Stage, scheduler: Scheduler, taskId: string, agent = 'agent'): string {
  const agentId = scheduler.updates(taskId)[0]?.agent_id?.value ?? '';
  const frameworks = join(stage.dir, agent, 'slaves', agentId, 'frameworks');
  return join(frameworks, scheduler.frameworkId, 'executors', taskId, 'runs', 'latest');
}

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test('mesos: a task runs in its sandbox and its end is told as recorded', async () => {
  await onStage(quick, async (stage) => {
    await stage.startAgent('agent');
    const scheduler = await Scheduler.subscribe(stage.address, { encoding: 'protobuf' });
    const ends = [
      ['ok', 'echo out; echo err >&2; exit 0', 'TASK_FINISHED', 'Command exited with status 0'],
      ['exit42', 'exit 42', 'TASK_FAILED', 'Command exited with status 42'],
      ['signal', 'kill -9 $$', 'TASK_FAILED', 'Command terminated with signal Killed'],
    ] as const;
    await scheduler.launch((agentId) => ends.map(([id, command]) => shell(id, agentId, command)));
    for (const [id, , state, message] of ends) {
      const end = await scheduler.reached(id, state);
      assert.equal(end.message, message);
      assert.deepEqual(
        scheduler.updates(id).map((one) => [one.state, one.source, one.executor_id?.value]),
        ['TASK_STARTING', 'TASK_RUNNING', state].map((one) => [one, 'SOURCE_EXECUTOR', id]),
      );
      const { container_status } = end;
      assert.equal(
        container_status?.network_infos?.[0]?.ip_addresses?.[0]?.ip_address,
        '127.0.0.1',
      );
      assert.ok(container_status?.executor_pid);
    }
    assert.equal(readFileSync(join(sandbox(stage, scheduler, 'ok'), 'stdout'), 'utf8'), 'out\n');
    assert.equal(readFileSync(join(sandbox(stage, scheduler, 'ok'), 'stderr'), 'utf8'), 'err\n');
    await scheduler.close();
  });
});

test('mesos: commands without a shell get their arguments, and a missing program is a failed task', async () => {
  await onStage(quick, async (stage) => {
    await stage.startAgent('agent');
    const scheduler = await Scheduler.subscribe(stage.address);
    const argv = { shell: false, arguments: ['echo', 'a b', '$HOME'] };
    const missing = { shell: false, arguments: ['program', 'x'] };
    await scheduler.launch((agentId) => [
      shell('argv', agentId, '/bin/echo', { command: argv }),
      shell('nocmd', agentId, '/no/such/program', { command: missing }),
    ]);
    await scheduler.reached('argv', 'TASK_FINISHED');
    assert.equal(
      readFileSync(join(sandbox(stage, scheduler, 'argv'), 'stdout'), 'utf8'),
      'a b $HOME\n',
    );
    const failed = await scheduler.reached('nocmd', 'TASK_FAILED');
    assert.equal(failed.message, 'Command exited with status 1');
    const stderr = readFileSync(join(sandbox(stage, scheduler, 'nocmd'), 'stderr'), 'utf8');
    assert.match(stderr, /Failed to execute '\/no\/such\/program': No such file or directory/);
    await scheduler.close();
  });
});

test('mesos: a task finds its own variables and those of a Mesos agent in its environment', async () => {
  await onStage(quick, async (stage) => {
    await stage.startAgent('agent');
    const scheduler = await Scheduler.subscribe(stage.address);
    const environment = {
      variables: [
        { name: 'A', value: '1 2' },
        { name: 'PATH', value: '/nowhere' },
      ],
    };
    const command = '/usr/bin/env; pwd';
    await scheduler.launch((agentId) => [
      shell('env', agentId, command, { command: { environment } }),
    ]);
    await scheduler.reached('env', 'TASK_FINISHED');
    const lines = readFileSync(join(sandbox(stage, scheduler, 'env'), 'stdout'), 'utf8').split(
      '\n',
    );
    const value = (name: string): string | undefined =>
      lines.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1);
    assert.equal(value('A'), '1 2');
    assert.equal(value('PATH'), '/nowhere');
    assert.equal(value('MESOS_EXECUTOR_ID'), 'env');
    assert.equal(value('MESOS_TASK_ID'), undefined);
    assert.equal(value('MESOS_FRAMEWORK_ID'), scheduler.frameworkId);
    assert.equal(value('MESOS_CHECKPOINT'), '1');
    assert.ok(value('MESOS_SANDBOX'));
    assert.equal(value('MESOS_SANDBOX'), lines.at(-2));
    await scheduler.close();
  });
});

test('mesos: KILL ends the whole process group, with SIGKILL after the grace of the kill policy', async () => {
  await onStage(quick, async (stage) => {
    await stage.startAgent('agent');
    const capabilities = [{ type: 'TASK_KILLING_STATE' }] as const;
    const scheduler = await Scheduler.subscribe(stage.address, { info: { capabilities } });
    const stubborn =
      "trap 'echo term' TERM; sleep 1000 & echo $! > child; while true; do sleep 0.1; done";
    const kill_policy = { grace_period: { nanoseconds: 500_000_000 } };
    await scheduler.launch((agentId) => [
      shell('polite', agentId, 'sleep 1000 & echo $! > child; wait'),
      shell('stubborn', agentId, stubborn, { kill_policy }),
    ]);
    await scheduler.reached('polite', 'TASK_RUNNING');
    await scheduler.reached('stubborn', 'TASK_RUNNING');
    const childOf = (id: string): Promise<number> =>
      until(() => Number(readFileSync(join(sandbox(stage, scheduler, id), 'child'), 'utf8')), {
        deadlineMs: 5000,
        what: 'the child runs',
      });
    const children = [await childOf('polite'), await childOf('stubborn')];
    await scheduler.kill('polite');
    const polite = await scheduler.reached('polite', 'TASK_KILLED');
    assert.equal(polite.message, 'Command terminated with signal Terminated');
    assert.ok(scheduler.updates('polite').some(({ state }) => state === 'TASK_KILLING'));
    const before = performance.now();
    await scheduler.kill('stubborn');
    const killed = await scheduler.reached('stubborn', 'TASK_KILLED');
    const took = performance.now() - before;
    assert.equal(killed.message, 'Command terminated with signal Killed');
    assert.ok(took >= 500 && took < 2000, `killed after ${Math.round(took)} ms`);
    for (const pid of children) {
      await until(() => !alive(pid), { deadlineMs: 2000, what: `${pid} is gone` });
    }
    await scheduler.close();
  });
});

test('mesos: max_completion_time fails a task, and a dead executor does', async () => {
  await onStage(quick, async (stage) => {
    await stage.startAgent('agent');
    const scheduler = await Scheduler.subscribe(stage.address);
    const max_completion_time = { nanoseconds: 300_000_000 };
    await scheduler.launch((agentId) => [
      shell('max', agentId, 'sleep 1000', { max_completion_time }),
      shell('orphan', agentId, 'sleep 1000'),
    ]);
    const failed = await scheduler.reached('max', 'TASK_FAILED');
    assert.equal(failed.reason, 'REASON_MAX_COMPLETION_TIME_REACHED');
    assert.equal(failed.message, 'Command terminated with signal Terminated');
    const { container_status } = await scheduler.reached('orphan', 'TASK_RUNNING');
    process.kill(container_status?.executor_pid ?? 0, 'SIGKILL');
    const orphan = await scheduler.reached('orphan', 'TASK_FAILED');
    assert.deepEqual(
      [orphan.source, orphan.reason, orphan.message],
      ['SOURCE_AGENT', 'REASON_EXECUTOR_TERMINATED', 'Executor terminated'],
    );
    await scheduler.close();
  });
});

test('mesos: teardown ends the tasks, and the operator sees what became of them', async () => {
  await onStage(quick, async (stage) => {
    await stage.startAgent('agent');
    const scheduler = await Scheduler.subscribe(stage.address);
    await scheduler.launch((agentId) => [
      shell('done', agentId, 'true'),
      shell('last', agentId, 'echo $$ > pid; exec sleep 1000', {
        labels: { labels: [{ key: 'k', value: 'v' }] },
      }),
    ]);
    await scheduler.reached('done', 'TASK_FINISHED');
    await scheduler.reached('last', 'TASK_RUNNING');
    const pid = await until(
      () => Number(readFileSync(join(sandbox(stage, scheduler, 'last'), 'pid'), 'utf8')),
      {
        deadlineMs: 5000,
        what: 'the task notes its pid',
      },
    );
    const form = `frameworkId=${scheduler.frameworkId}`;
    const teardown = (): Promise<Response> =>
      fetch(`http://${stage.address}/master/teardown`, {
        method: 'POST',
        body: form,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      });
    assert.equal((await teardown()).status, 200);
    const again = await teardown();
    assert.deepEqual(
      [again.status, await again.text()],
      [400, 'No framework found with specified ID'],
    );
    await until(() => scheduler.ended, { deadlineMs: 2000, what: 'the stream ends' });
    await until(() => !alive(pid), { deadlineMs: 6000, what: 'the task is gone' });
    const { tasks } = (await stage.get('/tasks')) as { tasks: Record<string, unknown>[] };
    const states = tasks.map(({ id, state }) => `${id} ${state}`).sort();
    assert.deepEqual(states, ['done TASK_FINISHED', 'last TASK_KILLED']);
    const history = (await stage.get('/local/history')) as { launches: unknown };
    assert.deepEqual(history.launches, { [scheduler.frameworkId]: { done: 1, last: 1 } });
    await scheduler.close();
  });
});
