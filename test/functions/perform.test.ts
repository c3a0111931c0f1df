import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeJson } from '#proto/messages.ts';
import { header, subjectsOf } from '#proto/subjects.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import { showEffect } from '../../functions/shared/effect.ts';
import { performer } from '../../functions/shared/perform.ts';
import { MemoryStore } from '../runner/memory-store.ts';
import { startNats } from '../world/nats.ts';
import { until } from '../world/until.ts';
import { paths, tick } from './built.ts';

const kill = {
  kind: 'kill',
  framework: { id: 'drey-1', epoch: 1 },
  tasks: [{ taskId: 'taskmanager-00001', agentId: 'a1' }],
} as const;

test('functions: a call that a killed gateway had taken goes out in the next epoch at once', async (t) => {
  const nats = await startNats({});
  t.after(() => nats.stop());
  const bus = await connectBus({ servers: [nats.url], name: 'test', clock: systemClock });
  t.after(() => bus.close());
  const subjects = subjectsOf('test');
  const store = new MemoryStore();
  const framework = {
    v: 1,
    op: '',
    id: 'drey-1',
    epoch: 2,
    gateway: 'g2',
    state: 'active',
    fenced: [],
  };
  await store.commit([{ kind: 'create', path: paths.framework, data: JSON.stringify(framework) }]);
  const perform = performer({ subjects, paths, store, bus, clock: systemClock });
  let taken = 0;
  bus.subscribe(subjects.call(1, 'kill'), undefined, () => {
    taken += 1;
  });
  let sent = 0;
  let trace: string | undefined;
  bus.subscribe(subjects.call(2, 'kill'), undefined, ({ reply, headers }) => {
    sent += 1;
    trace = headers[header.trace];
    if (reply !== undefined) bus.publish(reply, encodeJson({ outcome: 'sent' }));
  });
  const performed = perform(kill, { [header.trace]: 'the trace of a message' });
  await until(() => taken === 1, { deadlineMs: 5000, what: 'the old gateway has the call' });
  const began = performance.now();
  bus.publish(subjects.tick, encodeJson(tick({ epoch: 2 }).tick));
  await performed;
  assert.equal(sent, 1);
  assert.equal(trace, 'the trace of a message');
  t.diagnostic(
    `${Math.round(performance.now() - began)} ms after the first tick of the next epoch`,
  );
});

test('functions: a refused command is told in the decision log also when nobody waits for it', () => {
  const line = showEffect({
    kind: 'answer',
    command: 'scale',
    answer: { ok: false, message: 'Flink decides' },
  });
  assert.equal(line, 'scale REFUSED: Flink decides');
});
