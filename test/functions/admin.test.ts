import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AdminState, decide } from '../../functions/admin/decide.ts';
import type { Heard } from '../../functions/shared/heard.ts';
import { byId, framework, moment, paths, spec, worker, written } from './built.ts';

function admin(over: Partial<AdminState> = {}): AdminState {
  return {
    paths,
    framework: framework(),
    spec: spec({ demand: { mode: 'fixed', target: 1 } }),
    reconcile: undefined,
    fleet: undefined,
    applied: new Map(),
    workers: new Map(),
    outdated: [],
    ...over,
  };
}

const command = (name: string, body: string): Heard => ({
  kind: 'command',
  id: 'c1',
  name,
  body,
  replyTo: 'inbox',
});

function answered(state: AdminState, event: Heard): { ok: boolean; message: string } {
  const { effects } = decide(state, [event], moment());
  const answer = effects.find((effect) => effect.kind === 'answer');
  assert.ok(answer?.kind === 'answer');
  return answer.answer;
}

test('admin: scale sets the target once, a redelivery only answers again', () => {
  const event = command('scale', '{"workers":3}');
  const first = decide(admin(), [event], moment());
  assert.deepEqual(written(first.writes, paths.spec).overrides, { target: 3 });
  const applied = new Map([
    [
      'c1',
      { v: 1 as const, op: '', command: 'scale', at: 0, answer: { ok: true, message: 'done' } },
    ],
  ]);
  const again = decide(admin({ applied }), [event], moment());
  assert.deepEqual(again.writes, []);
  assert.equal(answered(admin({ applied }), event).message, 'done');
});

test('admin: with the driver scale is refused and names the keys that do it', () => {
  const answer = answered(admin({ spec: spec() }), command('scale', '{"workers":3}'));
  assert.equal(answer.ok, false);
  assert.match(answer.message, /slotmanager\.number-of-slots\.min/);
});

test('admin: a malformed or unknown command gets a clear error and changes nothing', () => {
  for (const [name, body, why] of [
    ['scale', 'three', /not JSON/],
    ['scale', '{"workers":-1}', /workers/],
    ['scale', '{"workers":3,"fast":true}', /fast/],
    ['dance', '{}', /no command "dance"/],
    ['stop', '{"worker":"../x"}', /worker/],
  ] as const) {
    const answer = answered(admin(), command(name, body));
    assert.equal(answer.ok, false);
    assert.match(answer.message, why);
    assert.deepEqual(decide(admin(), [command(name, body)], moment()).writes, []);
  }
});

test('admin: stop kills one worker, teardown ends the framework, release-hold lets it go on', () => {
  const one = worker(1, { state: 'running' });
  const stop = decide(
    admin({ workers: byId(one) }),
    [command('stop', '{"worker":"taskmanager-00001"}')],
    moment(),
  );
  assert.equal(written(stop.writes, one.path).state, 'stopping');
  const teardown = decide(admin(), [command('teardown', '{}')], moment());
  assert.equal(written(teardown.writes, paths.framework).state, 'ending');
  const held = framework({ held: { since: 0, why: 'a test' } });
  const release = decide(admin({ framework: held }), [command('release-hold', '')], moment());
  assert.equal(written(release.writes, paths.framework).held, undefined);
});

test('admin: a teardown that names a framework ends no other one', () => {
  const { id } = framework().value;
  const late = command('teardown', '{"framework":"drey-of-yesterday"}');
  assert.deepEqual(decide(admin(), [late], moment()).writes, []);
  assert.match(answered(admin(), late).message, /drey-of-yesterday is not registered any more/);
  const body = JSON.stringify({ framework: id, why: 'Flink ended its cluster' });
  const { writes } = decide(admin(), [command('teardown', body)], moment());
  const { state, result } = written(writes, paths.framework);
  assert.equal(state, 'ending');
  assert.match(JSON.stringify(result), /Flink ended its cluster/);
});
