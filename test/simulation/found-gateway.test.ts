import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Epoch } from '#gateway/core/epoch.ts';
import { Reign } from '#gateway/core/reign.ts';
import { type GatewaySurroundings, silentMetrics } from '#gateway/core/surroundings.ts';
import { encodeEvent } from '#proto/mesos/codec.ts';
import type { SchedulerEvent } from '#proto/mesos/types.ts';
import { tickMessage } from '#proto/messages.ts';
import { recordPathsOf } from '#proto/records.ts';
import { subjectsOf } from '#proto/subjects.ts';
import { silentLog } from '#runtime/log.ts';
import { simulatedSettings } from './settings.ts';
import { SimBus } from './world/bus/connection.ts';
import { BusServer } from './world/bus/server.ts';
import { History } from './world/history.ts';
import { Life, type World } from './world/life.ts';
import { Random } from './world/random.ts';
import { Ensemble } from './world/store/ensemble.ts';
import { SimStore } from './world/store/session.ts';
import { VirtualTime } from './world/time.ts';
import { calmBus, calmStore } from './world/weather.ts';

/** What the simulation has found in the gateway, each as the shortest story that shows it. */

interface Place {
  readonly world: World;
  readonly server: BusServer;
  readonly part: GatewaySurroundings;
}

function placeOf(seed: string): Place {
  const time = new VirtualTime(Date.UTC(2026, 0, 1));
  const world = { time, random: new Random(seed), history: new History(time) };
  const server = new BusServer(world, calmBus());
  const life = new Life(world, 'gateway');
  const part: GatewaySurroundings = {
    store: new SimStore(new Ensemble(world, calmStore()), life),
    bus: new SimBus(server, life),
    clock: life.clock,
    random: () => life.random.next(),
    mesos: {
      subscribe: () => new Promise(() => undefined),
      call: () => Promise.resolve({ outcome: 'sent', status: 202 }),
    },
    subjects: subjectsOf('sim'),
    paths: recordPathsOf('/drey', 'sim'),
    id: 'gateway',
    settings: simulatedSettings('fixed', 1),
    log: silentLog,
    metrics: silentMetrics,
  };
  return { world, server, part };
}

test('simulation found: OFFERS end the belief that Mesos is suppressed (seeds 305, 1033)', async () => {
  const { world, part } = placeOf('offers');
  const epoch = new Epoch(part, {
    number: 1,
    frameworkId: 'f',
    suppressed: true,
    store: async () => true,
    leads: () => true,
  });
  epoch.opened({ streamId: 's', close: () => undefined });
  const hear = async (event: SchedulerEvent) => {
    epoch.event(encodeEvent(event, 'protobuf'));
    await world.time.run(world.time.now() + 10);
  };
  const framework_id = { value: 'f' };
  await hear({ type: 'SUBSCRIBED', subscribed: { framework_id } });
  assert.equal(epoch.calls.levels.suppressed, true);
  const offer = {
    id: { value: 'O1' },
    framework_id,
    agent_id: { value: 'S1' },
    hostname: 'agent1',
  };
  await hear({ type: 'OFFERS', offers: { offers: [offer] } });
  assert.equal(epoch.calls.levels.suppressed, false, 'a late REVIVE has overtaken the SUPPRESS');
});

test('simulation found: a moment of doubt about the lead does not end the tick (seed 306)', async () => {
  const { world, server, part } = placeOf('tick');
  let leads = true;
  const reign = new Reign(part, {
    leads: () => leads,
    mayFollow: undefined,
    giveUpAfterMs: undefined,
    onReady: () => undefined,
  });
  const times: number[] = [];
  server.onMessage((_who, { subject, data }) => {
    if (subject !== part.subjects.tick) return;
    times.push(tickMessage.parse(JSON.parse(new TextDecoder().decode(data))).time);
  });
  void reign.run();
  await world.time.run(world.time.now() + 3500);
  assert.ok(times.length >= 2);
  leads = false;
  await world.time.run(world.time.now() + 1000);
  leads = true;
  const before = times.length;
  await world.time.run(world.time.now() + 3000);
  assert.ok(times.length >= before + 2, 'the tick goes on as long as the reign does');
});
