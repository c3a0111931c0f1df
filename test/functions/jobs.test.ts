import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide } from '../../functions/jobs/decide.ts';
import type { Heard } from '../../functions/shared/heard.ts';
import { brief, framework, moment, paths, read, tick, written } from './built.ts';

test('jobs: a session that was taken over meanwhile cannot end the cluster of the next one', () => {
  const value = { v: 1 as const, op: '', session: 's1', past: [], flinkVersion: '', at: 0 };
  const { writes } = decide(
    { framework: framework(), driver: read(paths.driver, value), remains: [] },
    [
      {
        kind: 'demand',
        verb: 'deregister',
        session: 's1',
        status: 'SUCCEEDED',
        diagnostics: '',
      },
    ],
    moment(),
  );
  assert.deepEqual(brief(writes), ['set framework', 'check driver']);
});

test('jobs: the end of Flink tears the framework down, then removes the records, then ends', () => {
  const deregister: Heard = {
    kind: 'demand',
    verb: 'deregister',
    session: 's1',
    status: 'SUCCEEDED',
    diagnostics: '',
  };
  const first = decide(
    { framework: framework(), driver: undefined, remains: [] },
    [deregister],
    moment(),
  );
  assert.equal(written(first.writes, paths.framework).state, 'ending');
  assert.ok(first.effects.some((effect) => effect.kind === 'teardown'));
  const ending = framework({ state: 'ending' });
  const again = decide({ framework: ending, driver: undefined, remains: [] }, [tick()], moment());
  assert.deepEqual(
    again.effects.map((effect) => effect.kind),
    ['teardown'],
  );
  const removed = framework({ state: 'removed' });
  const node = { path: paths.worker('taskmanager-00001'), version: 2 };
  const sweep = decide(
    { framework: removed, driver: undefined, remains: [node] },
    [tick()],
    moment(),
  );
  assert.deepEqual(sweep.writes, [{ kind: 'remove', ...node }]);
  const last = decide({ framework: removed, driver: undefined, remains: [] }, [tick()], moment());
  assert.equal(written(last.writes, paths.framework).state, 'ended');
  assert.equal(last.fromAbsence, true);
});
