import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide as decideOffers } from '#functions/offers/decide.ts';
import { applied } from '#functions/updates/rules/apply.ts';
import { CallDesk } from '#gateway/core/calls.ts';
import { silentMetrics } from '#gateway/core/surroundings.ts';
import { encodeCall } from '#proto/mesos/codec.ts';
import type { TaskStatus } from '#proto/mesos/types.ts';
import type { CallOutcome } from '#proto/messages.ts';
import { recordPathsOf, type WorkerRecord } from '#proto/records.ts';
import { subjectsOf } from '#proto/subjects.ts';
import type { BusMessage } from '#runtime/bus/bus.ts';
import { silentLog } from '#runtime/log.ts';
import { simulatedSettings } from './settings.ts';
import { SimBus } from './world/bus/connection.ts';
import { BusServer } from './world/bus/server.ts';
import { History } from './world/history.ts';
import { Life } from './world/life.ts';
import { Random } from './world/random.ts';
import { VirtualTime } from './world/time.ts';
import { calmBus } from './world/weather.ts';

/** What the simulation has found, each as the shortest story that shows it; docs/simulation.md tells more. */

const now = Date.UTC(2026, 0, 1);
const id = 'taskmanager-00001';

function launching(over: Partial<WorkerRecord> = {}): WorkerRecord {
  const { size } = simulatedSettings('fixed', 1).worker;
  return {
    v: 1,
    op: 'before',
    id,
    kind: 'taskmanager',
    state: 'launching',
    generation: 1,
    size,
    agentId: 'S1',
    spoke: 3,
    confirmed: true,
    times: { wanted: now, launching: now },
    why: 'placed',
    ...over,
  };
}

function said(state: TaskStatus['state'], agentId: string): TaskStatus {
  return { task_id: { value: id }, state, agent_id: { value: agentId }, timestamp: now / 1000 };
}

function hear(worker: WorkerRecord, status: TaskStatus, sequence: number, epoch = 3): WorkerRecord {
  const settings = simulatedSettings('fixed', 1);
  const moment = { now: now + sequence, op: `hear-${sequence}`, random: 0.5 };
  const framework = { state: 'active', masterChangedAt: 0 } as const;
  const around = { epoch, sequence, settings, framework, uuid: undefined, moment };
  return applied(worker, status, around).worker;
}

test('simulation found: a late TASK_RUNNING does not undo TASK_UNREACHABLE (seeds 848, 213)', () => {
  const unreachable = hear(
    hear(launching(), said('TASK_RUNNING', 'S1'), 10),
    said('TASK_UNREACHABLE', 'S1'),
    12,
  );
  assert.equal(unreachable.state, 'unreachable');
  const late = hear(unreachable, said('TASK_RUNNING', 'S1'), 11);
  assert.equal(late.state, 'unreachable', 'the copy that was frozen brings what is over');
  const back = hear(late, said('TASK_RUNNING', 'S1'), 13);
  assert.equal(back.state, 'running', 'what Mesos says after it counts');
  assert.equal(hear(unreachable, said('TASK_RUNNING', 'S1'), 1, 4).state, 'running', 'a new epoch');
});

test('simulation found: KILL goes to the agent where Mesos says the task is (seed 1215)', () => {
  const running = hear(launching({ agentId: 'S2' }), said('TASK_RUNNING', 'S1'), 10);
  assert.equal(running.agentId, 'S1');
  const stray = { ...said('TASK_ERROR', 'S3'), reason: 'REASON_TASK_INVALID' as const };
  assert.equal(hear(running, stray, 11).agentId, 'S1', 'a refused second launch tells nothing');
});

test('simulation found: a doubled ACCEPT is never answered as refused (seed 1215)', async () => {
  const time = new VirtualTime(now);
  const world = { time, random: new Random('doubled'), history: new History(time) };
  const server = new BusServer(world, calmBus());
  const life = new Life(world, 'gateway');
  const bus = new SimBus(server, life);
  const sent: Uint8Array[] = [];
  const outcome = Promise.withResolvers<CallOutcome>();
  const mesos = {
    subscribe: () => Promise.reject(new Error('not asked for')),
    call: (_stream: string, call: Uint8Array) => {
      sent.push(call);
      return outcome.promise;
    },
  };
  const part = { bus, clock: life.clock, mesos, log: silentLog, metrics: silentMetrics };
  const desk = new CallDesk(part, {
    frameworkId: 'framework',
    suppressed: false,
    onLapsed: () => {},
  });
  desk.open('stream');
  desk.lent.add('O1', now);
  const answers: string[] = [];
  const asker = new SimBus(server, new Life(world, 'asker'));
  asker.subscribe('answers.*', undefined, ({ data }) => {
    answers.push(new TextDecoder().decode(data));
  });
  await time.run(time.now() + 100);
  const call = encodeCall(
    {
      type: 'ACCEPT',
      framework_id: { value: 'framework' },
      accept: { offer_ids: [{ value: 'O1' }] },
    },
    'protobuf',
  );
  const subject = subjectsOf('sim').call(1, 'accept');
  const message: BusMessage = { subject, data: call, headers: {}, reply: 'answers.1' };
  desk.handle(message);
  desk.handle(message);
  await time.run(time.now() + 100);
  assert.deepEqual(answers, [], 'nothing is known yet');
  outcome.resolve({ outcome: 'sent', status: 202 });
  await time.run(time.now() + 100);
  assert.deepEqual(
    answers.map((answer) => JSON.parse(answer).outcome),
    ['sent'],
  );
  assert.equal(sent.length, 1);
});

test('simulation found: an index ahead of its records makes no copy spin (variant, seed 8)', () => {
  const configured = simulatedSettings('fixed', 1);
  const common = { v: 1, op: 'before' } as const;
  const state = {
    paths: recordPathsOf('/drey', 'sim'),
    framework: {
      path: '/drey/sim/framework',
      version: 1,
      value: { ...common, id: 'f', epoch: 3, gateway: 'g', state: 'active' as const, fenced: [] },
    },
    spec: {
      path: '/drey/sim/spec',
      version: 1,
      value: { ...common, generation: 1, cluster: 'sim', configured, overrides: {} },
    },
    launches: undefined,
    waitingCount: 1,
    waiting: [],
    agents: new Map(),
    refused: new Map(),
    revivedAt: 0,
  };
  const offer = {
    id: { value: 'O1' },
    framework_id: { value: 'f' },
    agent_id: { value: 'S1' },
    hostname: 'agent1',
  };
  const heard = { kind: 'offers', epoch: 3, offers: [offer] } as const;
  const { effects } = decideOffers(state, [heard], { now, op: 'op', random: 0.5 });
  assert.deepEqual(
    effects.map(({ kind }) => kind),
    ['decline'],
  );
});
