import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { startOf } from '#deploy/local/mesos/agent/process-start.ts';
import { firstTaskPort } from '#deploy/local/task-ports.ts';
import { until } from '#test/world/until.ts';

const local = resolve(import.meta.dirname, '../../deploy/local');
const scratch = mkdtempSync(join(tmpdir(), 'drey-local-'));
after(() => rmSync(scratch, { recursive: true }));

/** A folder as a running stack has it; its parts are told by `startPart`. */
function runFolder(): string {
  const folder = mkdtempSync(join(scratch, 'run-'));
  for (const name of ['logs', 'pids', 'conf']) mkdirSync(join(folder, name));
  return folder;
}

/** A stand-in for a part of the stack: says that it is asked to end, and ends 5 s later. */
async function startPart(folder: string, name: string) {
  const script = `process.on('SIGTERM', () => {
      console.log('asked');
      setTimeout(() => process.exit(0), 5000);
    });
    setInterval(() => {}, 1000);
    console.log('up');`;
  const child = spawn(process.execPath, ['-e', script], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  const { pid = 0 } = child;
  const file = { pid, startedAt: startOf(pid) };
  writeFileSync(join(folder, 'pids', `${name}.pid`), JSON.stringify(file));
  return child;
}

function environment(folder: string): NodeJS.ProcessEnv {
  return { ...process.env, DREY_LOCAL_RUN: folder };
}

test('local: a folder of something else is not emptied, and nothing is installed first', () => {
  const folder = mkdtempSync(join(scratch, 'home-'));
  writeFileSync(join(folder, 'letters.txt'), 'dear');
  const script = `const { makeRunFolder } = await import('${local}/run-folder.ts'); makeRunFolder();`;
  const made = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    env: environment(folder),
    encoding: 'utf8',
  });
  assert.ok(existsSync(join(folder, 'letters.txt')));
  assert.match(made.stderr, /is not empty and holds no local stack; .*DREY_LOCAL_RUN/);
  const up = spawnSync(process.execPath, [join(local, 'main.ts'), 'up'], {
    env: environment(folder),
    encoding: 'utf8',
  });
  assert.equal(up.status, 1);
  assert.equal(up.stdout, '');
  assert.match(up.stderr, /^.* is not empty and holds no local stack; .*\n$/);
});

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGHUP', 129],
] as const) {
  test(`local: a second ${signal} while everything is being stopped leaves nothing running`, async () => {
    const folder = runFolder();
    const first = await startPart(folder, 'appmaster');
    const parts = [first, await startPart(folder, 'zookeeper')];
    try {
      const down = spawn(process.execPath, [join(local, 'main.ts'), 'down'], {
        env: environment(folder),
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exited = once(down, 'exit');
      let said = '';
      down.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      await once(first.stdout, 'data');
      down.kill(signal);
      await until(() => said.includes(`stopping on ${signal}`) || down.signalCode !== null, {
        deadlineMs: 30_000,
        what: 'the first signal is heard',
      });
      down.kill(signal);
      assert.deepEqual(await exited, [code, null]);
      await until(() => parts.every(({ exitCode }) => exitCode === 0), {
        deadlineMs: 30_000,
        what: 'both parts have ended in order',
      });
    } finally {
      for (const part of parts) part.kill('SIGKILL');
    }
  });
}

test('local: tasks get ports of which none is used, not only the first', async () => {
  const first = await firstTaskPort(200);
  const server = createServer().listen(first + 150, '127.0.0.1');
  await once(server, 'listening');
  try {
    const next = await firstTaskPort(200);
    assert.ok(next >= first + 200, `${next}`);
  } finally {
    server.close();
  }
});
