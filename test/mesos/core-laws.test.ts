import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { freeOf } from '#deploy/local/mesos/core/ledger.ts';
import {
  contains,
  describe,
  isEmpty,
  minus,
  nothing,
  parseResources,
  plus,
  type Resources,
} from '#deploy/local/mesos/core/resources.ts';
import { isTerminal } from '#deploy/local/mesos/core/state.ts';
import { Rig, type RigStream, task } from './rig.ts';

const runs = process.env.DREY_FULL === '1' ? 2000 : 150;

const resources = fc
  .record({
    cpus: fc.integer({ min: 0, max: 5000 }),
    mem: fc.integer({ min: 0, max: 5000 }),
    ports: fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 8 })), {
      maxLength: 4,
    }),
  })
  .map(({ cpus, mem, ports }) => {
    const ranges = ports.map(([begin, length]) => `${begin}-${begin + length}`).join(',');
    const text = `cpus:${cpus / 1000};mem:${mem / 1000}${ranges === '' ? '' : `;ports:[${ranges}]`}`;
    return parseResources(text);
  });

const shown = (of: Resources): string => describe(of, '*').split('; ').sort().join('; ');

test('mesos: resources that are taken and given back are the same as before', () => {
  fc.assert(
    fc.property(resources, resources, (whole, part) => {
      if (!contains(whole, part)) return true;
      const rest = minus(whole, part);
      assert.equal(shown(plus(rest, part)), shown(whole));
      return isEmpty(minus(part, whole));
    }),
    { numRuns: runs },
  );
});

type Action =
  | { readonly kind: 'launch'; readonly cpus: number; readonly count: number }
  | {
      readonly kind:
        | 'decline'
        | 'kill'
        | 'acknowledge'
        | 'revive'
        | 'suppress'
        | 'failover'
        | 'reconcile';
    }
  | { readonly kind: 'agent-away'; readonly agent: number; readonly ms: number }
  | { readonly kind: 'lose-acknowledgements' }
  | { readonly kind: 'wait'; readonly ms: number };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('launch' as const),
      cpus: fc.integer({ min: 1, max: 25 }).map((n) => n / 10),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'decline' as const,
        'kill' as const,
        'acknowledge' as const,
        'revive' as const,
        'suppress' as const,
        'failover' as const,
        'reconcile' as const,
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('agent-away' as const),
      agent: fc.nat(2),
      ms: fc.integer({ min: 10, max: 6000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose-acknowledgements' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ms: fc.integer({ min: 1, max: 12_000 }),
    }),
  },
);

/** A scheduler that does whatever is drawn, on three agents. */
class Play {
  readonly rig = new Rig();
  stream: RigStream;
  readonly launched: string[] = [];
  readonly seen: RigStream[] = [];
  #next = 0;

  constructor() {
    for (let n = 0; n < 3; n += 1) this.rig.addAgent();
    this.stream = this.#subscribe();
  }

  perform(action: Action): void {
    const { rig, stream } = this;
    switch (action.kind) {
      case 'launch':
        this.#launch(action.cpus, action.count);
        break;
      case 'decline': {
        const offer_ids = rig.offers(stream).map(({ id }) => id);
        rig.call(stream, { type: 'DECLINE', decline: { offer_ids } });
        break;
      }
      case 'kill':
        for (const value of this.launched.slice(-2)) {
          rig.call(stream, { type: 'KILL', kill: { task_id: { value } } });
        }
        break;
      case 'acknowledge':
        rig.acknowledgeAll(stream);
        break;
      case 'revive':
        rig.call(stream, { type: 'REVIVE' });
        break;
      case 'suppress':
        rig.call(stream, { type: 'SUPPRESS' });
        break;
      case 'reconcile':
        rig.call(stream, { type: 'RECONCILE', reconcile: {} });
        break;
      case 'failover':
        this.stream = this.#subscribe({ value: stream.frameworkId });
        break;
      case 'agent-away':
        this.#away(action.agent, action.ms);
        break;
      case 'lose-acknowledgements':
        rig.loseAcknowledgements = true;
        rig.acknowledgeAll(stream);
        rig.loseAcknowledgements = false;
        break;
      case 'wait':
        rig.advance(action.ms, 50);
    }
  }

  /** Everything is killed and acknowledged, all agents are there, and time passes. */
  finish(): void {
    const { rig } = this;
    for (let round = 0; round < 40; round += 1) {
      for (const value of this.launched) {
        rig.call(this.stream, { type: 'KILL', kill: { task_id: { value } } });
      }
      rig.acknowledgeAll(this.stream);
      rig.advance(1000, 50);
    }
    this.stream = this.#subscribe({ value: this.stream.frameworkId });
    for (let round = 0; round < 5; round += 1) {
      rig.acknowledgeAll(this.stream);
      rig.advance(1000, 50);
    }
  }

  #subscribe(id?: { readonly value: string }): RigStream {
    const capabilities = [{ type: 'PARTITION_AWARE' }] as const;
    const stream = this.rig.subscribe({ capabilities, id });
    this.seen.push(stream);
    return stream;
  }

  #launch(cpus: number, count: number): void {
    const [offer] = this.rig.offers(this.stream);
    if (offer === undefined) return;
    const tasks = Array.from({ length: count }, () => {
      this.#next += 1;
      return task(`t${this.#next}`, offer.agent_id.value, cpus);
    });
    this.rig.accept(this.stream, [offer.id.value], tasks);
    const accepted = this.rig.master.history.launches.get(this.stream.frameworkId);
    for (const { task_id } of tasks)
      if (accepted?.has(task_id.value)) this.launched.push(task_id.value);
  }

  #away(index: number, ms: number): void {
    const agent = this.rig.agents[index];
    if (agent === undefined) return;
    this.rig.disconnect(agent);
    this.rig.advance(ms, 50);
    this.rig.connect(agent);
  }
}

/** Nothing is promised twice: what tasks use and offers hold fits what the agent has. */
function checkLedger(rig: Rig): void {
  for (const agent of rig.master.agents.values()) {
    const used = [...agent.tasks.values()]
      .filter(({ released }) => !released)
      .map((one) => one.resources);
    const held = [...rig.master.offers.values()]
      .filter(({ agentId }) => agentId === agent.id)
      .map((one) => one.resources);
    let left = agent.total;
    for (const part of [...used, ...held]) {
      assert.ok(contains(left, part), `${agent.id} promises more than it has`);
      left = minus(left, part);
    }
    assert.equal(shown(left), shown(freeOf(agent)), `${agent.id}: the ledger is wrong`);
  }
}

test('mesos: an agent’s resources are never given out twice, whatever a scheduler does', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 30 }), (actions) => {
      const play = new Play();
      for (const one of actions) {
        play.perform(one);
        checkLedger(play.rig);
      }
    }),
    { numRuns: runs },
  );
});

test('mesos: every launch that was accepted ends in exactly one terminal state', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 25 }), (actions) => {
      const play = new Play();
      for (const one of actions) play.perform(one);
      play.finish();
      for (const taskId of play.launched) {
        const ends = new Set<string>();
        for (const stream of play.seen) {
          for (const { state, uuid } of play.rig.updates(stream, taskId)) {
            // What a master says by itself is no end of an agent's task.
            if (isTerminal(state) && uuid !== undefined)
              ends.add(`${state} ${Buffer.from(uuid).toString('hex')}`);
          }
        }
        assert.equal(ends.size, 1, `${taskId}: ${[...ends].join(', ') || 'no end'}`);
      }
      for (const { simulated } of play.rig.agents) {
        assert.equal(simulated.agent.tasks.size, 0, 'nothing is left to acknowledge');
      }
      for (const agent of play.rig.master.agents.values()) {
        assert.equal(shown(agent.used), shown(nothing), 'nothing is used any more');
      }
    }),
    { numRuns: Math.ceil(runs / 3) },
  );
});
