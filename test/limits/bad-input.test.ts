import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { encodeEvent } from '#proto/mesos/codec.ts';
import type { SetAsideMessage } from '#proto/messages.ts';
import { header } from '#proto/subjects.ts';
import { NoResponderError } from '#runtime/errors.ts';
import { until } from '#test/world/until.ts';
import { ground, LimitsCluster } from './limits-world.ts';

/** What no function can make sense of: told to whoever sent it, and nothing else happens. */
const at = ground();
const mebibyte = 1024 * 1024;
const epoch = { [header.epoch]: '7' };
const recover = { session: 's1', flinkVersion: '2.3.0' };
const request = { session: 's1', n: 1, cpus: 1, memMb: 1024, slots: 2, jvm: '', dynamic: [] };
const update = encodeEvent(
  {
    type: 'UPDATE',
    update: { status: { task_id: { value: 'x' }, state: 'TASK_FINISHED' } },
  },
  'protobuf',
);

test('limits: a message that cannot be read is refused with subject and field, and changes nothing', async (t) => {
  const c = await LimitsCluster.start(at(), t);
  for (const name of ['demand', 'updates', 'jobs', 'admin', 'explain']) await c.run(name);
  const { subjects } = c;
  assert.match(await c.ask(subjects.demand('recover'), recover), /"ok"/);
  const before = await c.records();
  const ask = subjects.demand('request');
  const cases: readonly [string, unknown, RegExp][] = [
    [ask, 'no JSON', /demand\.request: not JSON/],
    [ask, '', /demand\.request: not JSON/],
    [ask, '[1]', /demand\.request: .*expected object/s],
    [ask, { ...request, n: 0 }, /demand\.request: .*→ at n/s],
    [ask, { ...request, memMb: 'much' }, /demand\.request: .*→ at memMb/s],
    [ask, { ...request, session: '../x' }, /demand\.request: .*→ at session/s],
    [ask, { ...request, v: 2 }, /demand\.request: .*→ at v/s],
    [ask, { ...request, jvm: 'x'.repeat(100_000) }, /demand\.request: .*→ at jvm/s],
    [ask, { ...request, dynamic: Array(1000).fill('x'.repeat(1000)) }, /→ at dynamic/],
    [ask, ' '.repeat(2 * mebibyte), /demand\.request: 2097152 bytes, at most 1048576/],
    [subjects.demand('confirm'), { session: 's1', workers: ['a/b'] }, /→ at workers\[0\]/],
    [subjects.demand('deregister'), { session: 's1', status: 'GONE' }, /→ at status/],
    [subjects.update('x'), new Uint8Array([255, 255, 1]), /event\.update\.x: mesos\.v1/],
    [subjects.update('x'), encodeEvent({ type: 'HEARTBEAT' }, 'protobuf'), /not UPDATE/],
    [subjects.failure, update, /event\.failure: a Mesos event of type UPDATE, not FAILURE/],
    [subjects.do('scale'), 'three', /scale: the body is not JSON/],
    [subjects.do('scale'), { workers: 3, v: 9 }, /scale: .*→ at v/],
    [subjects.do('stop'), { worker: '..' }, /stop: .*→ at worker/],
    [subjects.ask('explain'), { worker: 7 }, /ask\.explain wants/],
  ];
  for (const [subject, body, refusal] of cases) {
    const answer = JSON.parse(await c.ask(subject, body, epoch));
    const said = JSON.stringify(body).slice(0, 60);
    assert.match(answer.message, refusal, `${subject} ${said}`);
    assert.notEqual(answer.status ?? String(answer.ok), 'ok', `${subject} ${said}`);
  }
  const noEpoch = JSON.parse(await c.ask(subjects.update('x'), update));
  assert.match(noEpoch.message, /event\.update\.x: header Drey-Epoch/);
  assert.deepEqual(await c.records(), before);
  assert.match(await c.ask(subjects.demand('confirm'), { session: 's1', workers: [] }), /"ok"/);
});

test('limits: hints that cannot be read are passed over', async (t) => {
  const c = await LimitsCluster.start(at(), t);
  for (const name of ['offers', 'failures', 'reconcile', 'demand']) await c.run(name);
  const before = await c.records();
  const aside = { offers: 0, failures: 0, reconcile: 0, demand: 0 };
  c.bus.subscribe(c.subjects.setAside('*'), undefined, ({ data }) => {
    const told: SetAsideMessage = JSON.parse(new TextDecoder().decode(data));
    aside[told.function as keyof typeof aside] += 1 + told.more;
  });
  const bodies = ['', 'no JSON', '{"v":2}', '\0'.repeat(mebibyte + 1)];
  for (const subject of [
    c.subjects.tick,
    c.subjects.offers,
    c.subjects.lapsed,
    c.subjects.changed('worker', 'x'),
    c.subjects.changed('spec', 'spec'),
  ]) {
    for (const body of bodies) c.bus.publish(subject, new TextEncoder().encode(body), epoch);
  }
  // Each hears its subjects with each body: `reconcile` the tick alone, the others three.
  const all = { offers: 12, failures: 12, reconcile: 4, demand: 12 };
  await until(() => isDeepStrictEqual(aside, all), {
    deadlineMs: 60_000,
    what: 'each function has set aside what it heard',
  });
  assert.match(await c.ask(c.subjects.demand('recover'), recover), /"ok"/);
  const driver = c.paths.driver;
  assert.deepEqual(
    (await c.records()).filter((line) => !line.startsWith(driver)),
    before,
  );
});

test('limits: what names a worker that is not there is answered and changes nothing', async (t) => {
  const c = await LimitsCluster.start(at(), t);
  for (const name of ['demand', 'updates', 'failures', 'admin']) await c.run(name);
  const { subjects } = c;
  await c.ask(subjects.demand('recover'), recover);
  const before = await c.records();
  const worker = 'taskmanager-00099';
  const released = await c.ask(subjects.demand('release'), { session: 's1', worker });
  assert.deepEqual(JSON.parse(released), { status: 'ok', worker, state: 'ended' });
  await c.ask(subjects.demand('confirm'), { session: 's1', workers: [worker] });
  const hint = JSON.stringify({ id: worker, state: 'ended', op: 'x' });
  c.bus.publish(subjects.changed('worker', worker), new TextEncoder().encode(hint));
  assert.match(await c.ask(subjects.update('x'), update, epoch), /"ok"/);
  assert.deepEqual(await c.records(), before);
  const stopped = JSON.parse(await c.ask(subjects.do('stop'), { worker }));
  assert.deepEqual(stopped, { ok: false, message: `stop: there is no worker ${worker}` });
});

test('limits: what is sent to another cluster never reaches this one', async (t) => {
  const one = await LimitsCluster.start(at(), t);
  const other = await LimitsCluster.start(at(), t);
  await one.run('demand');
  const before = await one.records();
  await assert.rejects(one.ask(other.subjects.demand('recover'), recover), NoResponderError);
  assert.match(await one.ask(one.subjects.demand('recover'), recover), /"ok"/);
  assert.equal((await one.records()).length, before.length + 1, 'the driver alone');
});
