import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '#runtime/clock.ts';
import { connectStore } from '#runtime/store/zookeeper.ts';
import { startZooKeeper } from '#test/world/zookeeper.ts';
import { readCommits } from './evidence/zookeeper-log.ts';

test('faults: what an ensemble has committed is read from its transaction logs, also after a restart', async () => {
  const began = Date.now();
  const zookeeper = await startZooKeeper({ servers: 3 });
  const clock = systemClock;
  const store = await connectStore({
    ...{ servers: zookeeper.servers, clock },
    ...{ sessionTimeoutMs: 30_000 },
  });
  try {
    await store.ensure('/laws');
    await store.commit([{ kind: 'create', path: '/laws/a', data: 'one' }]);
    await store.commit([
      { kind: 'set', path: '/laws/a', data: 'zwei äöü', version: 0 },
      { kind: 'create', path: '/laws/b', data: '' },
    ]);
    // The first part would do, the second does not: nothing of it is applied.
    const stale = store.commit([
      { kind: 'create', path: '/laws/c', data: 'no' },
      { kind: 'set', path: '/laws/a', data: 'no', version: 0 },
    ]);
    await assert.rejects(stale);
    await zookeeper.restart(0);
    await store.commit([{ kind: 'remove', path: '/laws/b', version: 0 }]);
    const commits = readCommits(zookeeper.dataDirs);
    const changes = commits.flatMap((commit) => commit.changes);
    assert.deepEqual(
      changes.filter(({ path }) => path.startsWith('/laws/')),
      [
        { kind: 'create', path: '/laws/a', data: 'one' },
        { kind: 'set', path: '/laws/a', data: 'zwei äöü' },
        { kind: 'create', path: '/laws/b', data: '' },
        { kind: 'delete', path: '/laws/b', data: '' },
      ],
    );
    assert.ok(commits.every(({ at }) => at >= began && at <= Date.now()));
  } finally {
    await store.close();
    await zookeeper.stop();
  }
});
