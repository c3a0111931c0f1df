import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adminFunction } from '#functions/admin/handler.ts';
import type { Effect } from '#functions/shared/effect.ts';
import { encodeJson } from '#proto/messages.ts';
import { recordPathsOf } from '#proto/records.ts';
import { subjectsOf } from '#proto/subjects.ts';
import { silentLog } from '#runtime/log.ts';
import { runFunction } from '#runtime/run/runner.ts';
import { simulatedTime } from './true/time.ts';
import { SimBus } from './world/bus/connection.ts';
import { BusServer } from './world/bus/server.ts';
import { Life } from './world/life.ts';
import { Ensemble } from './world/store/ensemble.ts';
import { SimStore } from './world/store/session.ts';
import { calmBus, calmStore } from './world/weather.ts';

/** What the simulation has found about commands. */

test('simulation found: a command whose number NATS gives out again is no repeat', async () => {
  const { world, finish, until } = simulatedTime('commands', 60_000);
  const subjects = subjectsOf('sim');
  const paths = recordPathsOf('/drey', 'sim');
  const nats = new BusServer(world, calmBus());
  const life = new Life(world, 'admin');
  const store = new SimStore(new Ensemble(world, calmStore()), life);
  const bus = new SimBus(nats, life);
  await finish(store.ensure(paths.commands));
  const stream = { name: subjects.adminStream, subjects: [subjects.admin('*')] };
  const limits = { maxBytes: 1e6, maxAgeMs: 1e9 };
  await finish(bus.ensureStream({ ...stream, ...limits, retention: 'workqueue' }));
  const admin = adminFunction({ subjects, paths, store, bus, clock: life.clock });
  const ids: string[] = [];
  const answers: string[] = [];
  await finish(
    runFunction(
      {
        ...admin,
        decide: (state, events, moment) => {
          for (const event of events) if (event.kind === 'command') ids.push(event.id);
          return admin.decide(state, events, moment);
        },
        perform: async (effect: Effect) => {
          if (effect.kind === 'answer') answers.push(effect.command);
          return [];
        },
      },
      {
        store,
        bus,
        clock: life.clock,
        random: () => 0.5,
        copy: 'admin',
        log: silentLog,
        decisionSubject: subjects.decision('admin'),
        setAsideSubject: subjects.setAside('admin'),
      },
    ),
  );
  const person = new SimBus(nats, new Life(world, 'person'));
  await finish(person.append(subjects.admin('scale'), encodeJson({ workers: 3 })));
  await until(() => answers.length === 1, 'the first is answered');
  nats.loseTail(1);
  const again = await finish(person.append(subjects.admin('release-hold'), encodeJson({})));
  await until(() => answers.length === 2, 'the second is answered');
  assert.equal(again, 1, 'the number is given out again');
  assert.notEqual(ids[0], ids[1], 'and names another command');
});
