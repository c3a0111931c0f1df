import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnyFunction } from '#functions/all.ts';
import type { Heard } from '#functions/shared/heard.ts';
import { until } from '#test/world/until.ts';
import { ground, LimitsCluster } from './limits-world.ts';

/** A message whose handling throws every time: set aside with its reason, in the way of nothing. */
const at = ground();
const soon = { deadlineMs: 60_000 };
const request = (n: number) => ({
  session: 's1',
  n,
  cpus: 1,
  memMb: 1024,
  slots: 2,
  jvm: '',
  dynamic: [],
});

/** The function with a decision that throws on what `poisons` names. */
function poisoned(poisons: (event: Heard) => boolean): (definition: AnyFunction) => AnyFunction {
  return (definition) => ({
    ...definition,
    decide: (state, events, moment) => {
      if (events.some(poisons)) throw new TypeError('a broken decision');
      return definition.decide(state, events, moment);
    },
  });
}

interface Status {
  readonly sentence: string;
  readonly setAside: {
    readonly count: number;
    readonly last: readonly {
      readonly function: string;
      readonly subject: string;
      readonly what: string;
      readonly why: string;
    }[];
  };
}

async function statusOf(c: LimitsCluster): Promise<Status> {
  return JSON.parse(await c.ask(c.subjects.ask('status'), '{}'));
}

test('limits: a request that breaks every decision is refused and shown, the others are served', async (t) => {
  const c = await LimitsCluster.start(at(), t);
  const bad = (event: Heard) =>
    event.kind === 'demand' && event.verb === 'request' && event.n === 3;
  await c.run('demand', { define: poisoned(bad) });
  await c.run('explain');
  const { subjects } = c;
  await c.ask(subjects.demand('recover'), { session: 's1', flinkVersion: '2.3.0' });
  const numbers = [1, 2, 3, 4, 5, 6];
  const answers = await Promise.all(
    numbers.map(async (n) => JSON.parse(await c.ask(subjects.demand('request'), request(n)))),
  );
  assert.deepEqual(
    answers.map(({ status }) => status),
    ['ok', 'ok', 'refused', 'ok', 'ok', 'ok'],
  );
  assert.match(answers[2].message, /a broken decision/);
  const shown = await until(
    async () => {
      const status = await statusOf(c);
      return status.setAside.count > 0 ? status : undefined;
    },
    { ...soon, what: 'ask.status tells of it' },
  );
  const { count, last } = shown.setAside;
  assert.equal(count, 1);
  assert.equal(last[0]?.function, 'demand');
  assert.equal(last[0]?.subject, subjects.demand('request'));
  assert.equal(last[0]?.what, 'demand request');
  assert.match(last[0]?.why ?? '', /a broken decision/);
  assert.match(shown.sentence, /1 message was set aside, the last by demand: a broken decision/);
});

test('limits: hundreds of broken requests keep no other one from being served in time', async (t) => {
  const c = await LimitsCluster.start(at(), t);
  const poison = 300;
  const bad = (event: Heard) =>
    event.kind === 'demand' && event.verb === 'request' && event.n <= poison;
  await c.run('demand', { define: poisoned(bad) });
  const { subjects } = c;
  await c.ask(subjects.demand('recover'), { session: 's1', flinkVersion: '2.3.0' });
  const asked = Array.from({ length: poison + 1 }, (_, at) =>
    c.ask(subjects.demand('request'), request(at + 1)),
  );
  const answers = (await Promise.all(asked)).map((answer) => JSON.parse(answer).status);
  assert.deepEqual([...new Set(answers.slice(0, poison))], ['refused']);
  assert.equal(answers.at(-1), 'ok');
});

test('limits: a command that breaks every decision is set aside, the next one is applied', async (t) => {
  const c = await LimitsCluster.start(at(), t, { demand: { mode: 'fixed', target: 0 } });
  const bad = (event: Heard) => event.kind === 'command' && event.body.includes('13');
  await c.run('admin', { define: poisoned(bad) });
  await c.run('explain');
  const { subjects, bus } = c;
  const scale = (workers: number) =>
    bus.append(subjects.admin('scale'), new TextEncoder().encode(JSON.stringify({ workers })));
  await scale(13);
  await scale(14);
  const target = async () => JSON.parse((await c.store.read(c.paths.spec))?.data ?? '{}').overrides;
  await until(async () => (await target()).target === 14, { ...soon, what: 'the second applies' });
  await until(async () => (await statusOf(c)).setAside.count === 1, {
    ...soon,
    what: 'ask.status tells of the first',
  });
  assert.equal((await statusOf(c)).setAside.last[0]?.subject, subjects.admin('scale'));
});

test('limits: what was set aside is still shown when every function has been started anew', async (t) => {
  const c = await LimitsCluster.start(at(), t);
  const demand = await c.run('demand');
  await c.ask(c.subjects.demand('request'), 'no JSON');
  await c.ask(c.subjects.demand('confirm'), 'no JSON');
  await demand.stop();
  await c.run('explain');
  const { setAside } = await until(
    async () => {
      const status = await statusOf(c);
      return status.setAside.count === 2 ? status : undefined;
    },
    { ...soon, what: 'both are counted' },
  );
  assert.match(setAside.last[0]?.why ?? '', /demand\.request: not JSON/);
});
