import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { encodeCall, encodeEvent } from '#proto/mesos/codec.ts';
import type { SchedulerCall } from '#proto/mesos/types.ts';
import { callOutcome } from '#proto/messages.ts';
import { type Ground, startGround, TestCluster } from '../gateway/gateway-world.ts';

/** What a gateway hands on to Mesos: only calls that it can read, of its own framework. */
let ground: Ground;
before(async () => {
  ground = await startGround();
});
after(() => ground.stop());

test('limits: a call that the gateway cannot read, or of another framework, is refused and never sent', async (t) => {
  const c = await TestCluster.start(ground);
  t.after(() => c.stop());
  const gateway = await c.gateway('g1');
  const id = await c.subscribe(gateway);
  const ask = async (name: string, data: Uint8Array) => {
    const subject = `drey.${c.name}.call.1.${name}`;
    const answer = await c.bus.request(subject, data, { timeoutMs: 20_000 });
    return callOutcome.parse(JSON.parse(new TextDecoder().decode(answer.data)));
  };
  const kill = (framework: string): SchedulerCall => ({
    type: 'KILL',
    framework_id: { value: framework },
    kill: { task_id: { value: 'taskmanager-00001' } },
  });
  const cases: readonly [string, Uint8Array, RegExp][] = [
    ['kill', new TextEncoder().encode('{"type":"KILL"}'), /call\.1\.kill: no scheduler call/],
    ['kill', new Uint8Array(), /call\.1\.kill/],
    ['kill', new Uint8Array(900_000).fill(255), /call\.1\.kill: no scheduler call: mesos\.v1/],
    ['kill', encodeEvent({ type: 'HEARTBEAT' }, 'protobuf'), /call\.1\.kill/],
    ['shutdown', encodeCall({ type: 'REVIVE' }, 'protobuf'), /REVIVE came as shutdown/],
    ['subscribe', encodeCall({ type: 'SUBSCRIBE' }, 'protobuf'), /SUBSCRIBE is never sent/],
    ['kill', encodeCall(kill('drey-of-others'), 'protobuf'), /field framework_id.*drey-of-others/],
  ];
  for (const [name, data, why] of cases) {
    const { outcome, message } = await ask(name, data);
    assert.equal(outcome, 'refused', name);
    assert.match(message ?? '', why);
  }
  assert.deepEqual(
    c.master.heard.map(({ call }) => call.type),
    ['SUBSCRIBE'],
  );
  assert.equal((await ask('kill', encodeCall(kill(id), 'protobuf'))).outcome, 'sent');
});
