import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeJson } from '#proto/messages.ts';
import { type WorkerRecord, workerRecord } from '#proto/records.ts';
import { header, subjectsOf } from '#proto/subjects.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import { silentLog } from '#runtime/log.ts';
import { runFunction } from '#runtime/run/runner.ts';
import { readRecord } from '#runtime/store/records.ts';
import { failuresFunction } from '../../functions/failures/handler.ts';
import { newWorkerWrites } from '../../functions/shared/worker.ts';
import { MemoryStore } from '../runner/memory-store.ts';
import { startNats } from '../world/nats.ts';
import { until } from '../world/until.ts';
import { framework, paths, settings, spec, worker } from './built.ts';

/** What a copy of `offers` leaves that was killed between its transaction and the ACCEPT. */
function placed(number: number, offerId: string, placedAt: number): WorkerRecord {
  const launch = { op: 'l', offerIds: [offerId], epoch: 7, at: placedAt };
  const due = placedAt + settings().failures.launchTimeoutMs;
  return worker(number, { state: 'launching', launch, due }).value;
}

test('failures: what a killed copy had placed waits again as soon as its offers lapse', async (t) => {
  const nats = await startNats({});
  t.after(() => nats.stop());
  const bus = await connectBus({ servers: [nats.url], name: 'test', clock: systemClock });
  t.after(() => bus.close());
  const subjects = subjectsOf('test');
  const store = new MemoryStore();
  const now = Date.now();
  const workers = [placed(1, 'o1', now - 5000), placed(2, 'o2', now - 5000)];
  await store.commit([
    { kind: 'create', path: paths.framework, data: JSON.stringify(framework().value) },
    { kind: 'create', path: paths.spec, data: JSON.stringify(spec().value) },
    ...workers.flatMap((one) => newWorkerWrites(one, paths)),
  ]);
  const context = { subjects, paths, store, bus, clock: systemClock };
  const running = await runFunction(failuresFunction(context), {
    ...context,
    random: Math.random,
    copy: 'c1',
    log: silentLog,
    decisionSubject: subjects.decision('failures'),
    setAsideSubject: subjects.setAside('failures'),
  });
  t.after(() => running.stop());
  const state = async (id: string) =>
    (await readRecord(store, paths.worker(id), workerRecord))?.value.state;
  bus.publish(subjects.lapsed, encodeJson({ offers: ['o1'] }), { [header.epoch]: '7' });
  await until(async () => (await state('taskmanager-00001')) === 'wanted', {
    deadlineMs: 20_000,
    what: 'the worker waits again',
  });
  assert.equal(await state('taskmanager-00002'), 'launching', 'the offers of the other one stand');
  assert.deepEqual(await store.list(paths.waiting), ['taskmanager-00001']);
});
