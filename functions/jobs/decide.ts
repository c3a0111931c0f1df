import type { DemandAnswer } from '#proto/messages.ts';
import type { DriverRecord, FrameworkRecord } from '#proto/records.ts';
import type { Decision, Moment, Reason } from '#runtime/function.ts';
import { checkOf, replaceOf, type Versioned } from '#runtime/store/ops.ts';
import type { StoreOp } from '#runtime/store/store.ts';
import type { Effect } from '../shared/effect.ts';
import type { Heard, HeardDemand } from '../shared/heard.ts';

export interface JobsState {
  readonly framework: Versioned<FrameworkRecord> | undefined;
  readonly driver: Versioned<DriverRecord> | undefined;
  /** Once Mesos has forgotten the framework: the next nodes to remove, as many as one transaction holds. */
  readonly remains: readonly { readonly path: string; readonly version: number }[];
}

/** The end of a cluster: TEARDOWN until Mesos has forgotten the framework, then the records, then `ended`. */
export function decide(
  state: JobsState,
  events: readonly Heard[],
  moment: Moment,
): Decision<Effect> {
  const { framework } = state;
  if (framework === undefined) return refuse(events, 'no cluster is recorded yet');
  const ending = events.map((event, index) => ({ event, index })).find(isDeregister);
  if (ending !== undefined) return deregister(state, framework, ending, moment);
  switch (framework.value.state) {
    case 'active':
    case 'ended':
      return nothing;
    case 'ending':
      return subscribed(events) ? teardown(framework.value) : nothing;
    case 'removed':
      return sweep(state, framework, moment);
  }
}

const nothing: Decision<Effect> = { writes: [], effects: [], reasons: [] };

type Deregister = HeardDemand & { readonly verb: 'deregister' };
type AtIndex<T> = { readonly event: T; readonly index: number };

function deregister(
  state: JobsState,
  framework: Versioned<FrameworkRecord>,
  { event, index }: AtIndex<Deregister>,
  moment: Moment,
): Decision<Effect> {
  const answer = (value: DemandAnswer) => new Map([[index, value]]);
  const holder = state.driver?.value.session;
  if (holder !== undefined && holder !== event.session) {
    return { ...nothing, answers: answer({ status: 'superseded', message: `${holder} holds it` }) };
  }
  if (framework.value.state !== 'active') return { ...nothing, answers: answer({ status: 'ok' }) };
  const why = event.diagnostics === '' ? 'Flink ended its cluster' : event.diagnostics;
  const result = { status: event.status, why, at: moment.now };
  const next: FrameworkRecord = { ...framework.value, op: moment.op, state: 'ending', result };
  return {
    // A session that was taken over meanwhile must not end the cluster of the next one.
    writes: [replaceOf(framework, next), ...(state.driver ? [checkOf(state.driver)] : [])],
    effects: [frameworkChanged(next), ...teardown(next).effects],
    reasons: [{ about: 'framework', why: `ends as ${event.status}: ${why}` }],
    answers: answer({ status: 'ok' }),
  };
}

function teardown(framework: FrameworkRecord): Decision<Effect> {
  const { id, epoch } = framework;
  return {
    writes: [],
    effects: [{ kind: 'teardown', framework: { id, epoch } }],
    reasons: [{ about: 'framework', why: 'it ends: TEARDOWN until Mesos has forgotten it' }],
  };
}

/** The records go in steps; the counter of ids and the framework's own record stay. */
function sweep(
  state: JobsState,
  framework: Versioned<FrameworkRecord>,
  moment: Moment,
): Decision<Effect> {
  if (state.remains.length > 0) {
    const writes = state.remains.map(
      ({ path, version }): StoreOp => ({ kind: 'remove', path, version }),
    );
    const again: Effect = {
      kind: 'again',
      event: { kind: 'changed', record: 'framework', id: 'framework', state: 'removed' },
    };
    return { writes, effects: [again], reasons: [reason(`${writes.length} records are removed`)] };
  }
  const { held: _held, ...rest } = framework.value;
  const next: FrameworkRecord = { ...rest, op: moment.op, state: 'ended' };
  return {
    writes: [replaceOf(framework, next)],
    effects: [frameworkChanged(next)],
    reasons: [reason('the cluster has ended: no task, no framework and no record is left')],
    fromAbsence: true,
  };
}

function reason(why: string): Reason {
  return { about: 'framework', why };
}

function frameworkChanged(framework: FrameworkRecord): Effect {
  const { state, op } = framework;
  return { kind: 'changed', record: 'framework', id: 'framework', state, op };
}

function isDeregister(entry: AtIndex<Heard>): entry is AtIndex<Deregister> {
  return entry.event.kind === 'demand' && entry.event.verb === 'deregister';
}

function subscribed(events: readonly Heard[]): boolean {
  return events.some((event) => event.kind !== 'tick' || event.tick.subscribed);
}

function refuse(events: readonly Heard[], message: string): Decision<Effect> {
  const answers = new Map(
    events.flatMap((event, index): [number, DemandAnswer][] =>
      event.kind === 'demand' ? [[index, { status: 'refused', message }]] : [],
    ),
  );
  return { ...nothing, answers };
}
