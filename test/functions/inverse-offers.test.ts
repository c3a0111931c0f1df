import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeEvent } from '#proto/mesos/codec.ts';
import { header, subjectsOf } from '#proto/subjects.ts';
import { showEffect } from '../../functions/shared/effect.ts';
import { hearsInverseOffers } from '../../functions/shared/hears.ts';
import { decide, type UpdatesState } from '../../functions/updates/decide.ts';
import { framework, moment, paths, spec } from './built.ts';

const state: UpdatesState = {
  paths,
  framework: framework(),
  spec: spec(),
  reconcile: undefined,
  counter: 0,
  workers: new Map(),
  killedAt: new Map(),
};

/** As a real master sent it when a maintenance was scheduled. */
const event = {
  type: 'INVERSE_OFFERS',
  inverse_offers: {
    inverse_offers: [
      {
        id: { value: 'O19' },
        framework_id: { value: 'drey-1' },
        agent_id: { value: 'S0' },
        unavailability: { start: { nanoseconds: 1_795_378_442_000_000_000 } },
      },
    ],
  },
} as const;

function heard(epoch: number) {
  const subjects = subjectsOf('test');
  return hearsInverseOffers(subjects).parse({
    id: '',
    subject: subjects.inverseOffers,
    data: encodeEvent(event, 'protobuf'),
    headers: { [header.epoch]: String(epoch) },
  });
}

test('updates: an inverse offer is declined, with the agent and the time told', () => {
  const { writes, effects, reasons } = decide(state, [heard(7)], moment());
  assert.deepEqual(effects, [
    {
      kind: 'decline-inverse',
      framework: { id: 'drey-1', epoch: 7 },
      offerIds: ['O19'],
      refuseSeconds: 60,
    },
  ]);
  assert.deepEqual(writes, []);
  assert.equal(reasons[0]?.about, 'S0');
  assert.match(reasons[0]?.why ?? '', /maintenance from 2026-11-22T.*declined/);
  assert.deepEqual(effects.map(showEffect), ['DECLINE_INVERSE_OFFERS 1 for 60 s']);
});

test('updates: an inverse offer of an older epoch is void', () => {
  assert.deepEqual(decide(state, [heard(6)], moment()).effects, []);
});
