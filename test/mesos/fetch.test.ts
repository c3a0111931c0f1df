import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CommandInfoURI } from '#proto/mesos/types.ts';
import { until } from '#test/world/until.ts';
import { type FileServer, serveTestFiles } from './files.ts';
import { Scheduler, shell } from './scheduler.ts';
import { onStage, type Stage } from './stage.ts';

async function withFiles(
  body: (stage: Stage, files: FileServer, scheduler: Scheduler) => Promise<void>,
): Promise<void> {
  await onStage(['--allocation-interval=0.2'], async (stage) => {
    const files = await serveTestFiles(join(stage.dir, 'www'));
    try {
      await stage.startAgent('agent');
      const capabilities = [{ type: 'PARTITION_AWARE' }] as const;
      const scheduler = await Scheduler.subscribe(stage.address, { info: { capabilities } });
      await body(stage, files, scheduler);
      await scheduler.close();
    } finally {
      await files.stop();
    }
  });
}

function sandbox(stage: Stage, scheduler: Scheduler, taskId: string): string {
  const agentId = scheduler.updates(taskId)[0]?.agent_id?.value ?? '';
  const frameworks = join(stage.dir, 'agent', 'slaves', agentId, 'frameworks');
  return join(frameworks, scheduler.frameworkId, 'executors', taskId, 'runs', 'latest');
}

const launch = (
  scheduler: Scheduler,
  id: string,
  command: string,
  uris: readonly CommandInfoURI[],
): Promise<unknown> =>
  scheduler.launch((agentId) => [shell(id, agentId, command, { command: { uris } })]);

test('mesos: files are fetched, archives unpacked, names and modes as asked', async () => {
  await withFiles(async (stage, files, scheduler) => {
    await launch(scheduler, 'uris', './run.sh && test -f copy.tar.gz && ls', [
      { value: `${files.url}/hello.txt` },
      { value: `${files.url}/run.sh`, executable: true, extract: false },
      { value: `${files.url}/pkg.tar.gz` },
      { value: `${files.url}/pkg.tar.gz`, extract: false, output_file: 'copy.tar.gz', cache: true },
      { value: `${files.url}/moved`, output_file: 'sub/moved.txt' },
      { value: `file://${join(stage.dir, 'www', 'pkg.tar.gz')}`, output_file: 'local.tar.gz' },
      { value: join(stage.dir, 'www', 'pkg', 'inner.txt') },
    ]);
    await scheduler.reached('uris', 'TASK_FINISHED');
    const stdout = readFileSync(join(sandbox(stage, scheduler, 'uris'), 'stdout'), 'utf8');
    const names = [
      'copy.tar.gz',
      'hello.txt',
      'inner.txt',
      'pkg',
      'pkg.tar.gz',
      'run.sh',
      'stderr',
      'stdout',
      'sub',
    ];
    assert.equal(stdout, ['run.sh ran', 'hello from the web', 'inner', ...names, ''].join('\n'));
    const moved = join(sandbox(stage, scheduler, 'uris'), 'sub', 'moved.txt');
    assert.equal(readFileSync(moved, 'utf8'), 'hello from the web\n');
  });
});

test('mesos: a cached file is downloaded once for many tasks, and a large one is not copied', async () => {
  await withFiles(async (stage, files, scheduler) => {
    const uris = [
      { value: `${files.url}/big.bin`, cache: true },
      { value: `${files.url}/pkg.tar.gz`, cache: true },
    ];
    const ids = ['one', 'two', 'three'];
    await scheduler.launch((agentId) =>
      ids.map((id) => shell(id, agentId, 'cat pkg/inner.txt', { command: { uris } })),
    );
    for (const id of ids) await scheduler.reached(id, 'TASK_FINISHED');
    assert.equal(files.asked.get('/big.bin'), 1);
    assert.equal(files.asked.get('/pkg.tar.gz'), 1);
    const inodes = ids.map((id) => statSync(join(sandbox(stage, scheduler, id), 'big.bin')).ino);
    assert.equal(new Set(inodes).size, 1);
    assert.equal(readFileSync(join(sandbox(stage, scheduler, 'two'), 'stdout'), 'utf8'), 'inner\n');
  });
});

test('mesos: a file that cannot be fetched fails the task before it starts, and the sandbox says why', async () => {
  await withFiles(async (stage, files, scheduler) => {
    const bad = [
      ['missing', `${files.url}/missing.txt`, /received HTTP return code 404/],
      ['closed', 'http://127.0.0.1:9/x', /Failed to fetch 'http:\/\/127.0.0.1:9\/x'/],
      ['scheme', 'hdfs://host/x', /only http, https, file and absolute paths/],
    ] as const;
    for (const [id, value, why] of bad) {
      await launch(scheduler, id, 'true', [{ value: `${files.url}/hello.txt` }, { value }]);
      const failed = await scheduler.reached(id, 'TASK_FAILED');
      assert.deepEqual(
        [failed.source, failed.reason],
        ['SOURCE_AGENT', 'REASON_CONTAINER_LAUNCH_FAILED'],
      );
      assert.match(
        failed.message ?? '',
        /^Failed to launch container: Failed to fetch all URIs for container '[0-9a-f-]{36}': exited with status 1$/,
      );
      assert.equal(scheduler.updates(id).length, 1, 'no TASK_STARTING');
      assert.match(readFileSync(join(sandbox(stage, scheduler, id), 'stderr'), 'utf8'), why);
    }
  });
});

test('mesos: a task that is still fetched is TASK_STAGING to reconciliation, and a KILL ends it at once', async () => {
  await withFiles(async (stage, files, scheduler) => {
    await launch(scheduler, 'slow', 'echo $$ > started', [{ value: `${files.url}/slow` }]);
    await until(() => files.asked.get('/slow') === 1, {
      deadlineMs: 5000,
      what: 'the fetch has begun',
    });
    await scheduler.call({ type: 'RECONCILE', reconcile: {} });
    const staging = await scheduler.reached('slow', 'TASK_STAGING');
    assert.equal(staging.reason, 'REASON_RECONCILIATION');
    await scheduler.kill('slow');
    const killed = await scheduler.reached('slow', 'TASK_KILLED', 1000);
    assert.deepEqual(
      [killed.source, killed.reason, killed.message],
      [
        'SOURCE_AGENT',
        'REASON_TASK_KILLED_DURING_LAUNCH',
        'Killed before delivery to the executor',
      ],
    );
    files.release();
    await launch(scheduler, 'next', 'true', []);
    await scheduler.reached('next', 'TASK_FINISHED');
    const left = readdirSync(sandbox(stage, scheduler, 'slow'));
    assert.ok(!left.includes('started'), 'it never ran');
  });
});

test('mesos: containers that this agent cannot run are refused as recorded', async () => {
  await withFiles(async (stage, _, scheduler) => {
    const volume = { mode: 'RW', host_path: stage.dir, container_path: 'vol' } as const;
    await scheduler.launch((agentId) => [
      shell('docker', agentId, 'true', {
        container: { type: 'DOCKER', docker: { image: 'busybox' } },
      }),
      shell('image', agentId, 'true', {
        container: {
          type: 'MESOS',
          mesos: { image: { type: 'DOCKER', docker: { name: 'busybox' } } },
        },
      }),
      shell('volume', agentId, 'true', { container: { type: 'MESOS', volumes: [volume] } }),
      shell('plain', agentId, 'true', { container: { type: 'MESOS' } }),
    ]);
    const reasonOf = async (id: string): Promise<string> => {
      const { reason, message } = await scheduler.reached(id, 'TASK_FAILED');
      return `${reason} ${message}`;
    };
    assert.equal(
      await reasonOf('docker'),
      'REASON_EXECUTOR_TERMINATED Abnormal executor termination: unknown container',
    );
    assert.equal(
      await reasonOf('image'),
      'REASON_CONTAINER_LAUNCH_FAILED Failed to launch container: Unsupported container image type: DOCKER',
    );
    assert.equal(
      await reasonOf('volume'),
      'REASON_CONTAINER_LAUNCH_FAILED Failed to launch container: Volumes in ContainerInfo is not supported',
    );
    await scheduler.reached('plain', 'TASK_FINISHED');
  });
});

test('mesos: a user that does not exist is the agent’s fault', {
  skip: process.getuid?.() === 0 ? false : 'needs root',
}, async () => {
  await withFiles(async (stage, _, scheduler) => {
    await scheduler.launch((agentId) => [
      shell('user', agentId, 'true', { command: { user: 'no-such-user' } }),
    ]);
    const dropped = await scheduler.reached('user', 'TASK_DROPPED');
    assert.equal(dropped.reason, 'REASON_EXECUTOR_TERMINATED');
    assert.match(
      dropped.message ?? '',
      /Failed to chown directory to 'no-such-user': No such user 'no-such-user'$/,
    );
    assert.ok(existsSync(join(stage.dir, 'agent')));
  });
});
