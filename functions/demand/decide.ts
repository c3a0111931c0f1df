import type { DemandAnswer } from '#proto/messages.ts';
import type { Decision, Moment } from '#runtime/function.ts';
import { checkOf, createOf, replaceOf } from '#runtime/store/ops.ts';
import type { StoreOp } from '#runtime/store/store.ts';
import type { Effect } from '../shared/effect.ts';
import type { Heard } from '../shared/heard.ts';
import { killEffects, newWorkerWrites, workerChanged, workerWrites } from '../shared/worker.ts';
import { type DemandState, type Draft, workerIn } from './rules/draft.ts';
import { endWanted, hearDriver } from './rules/driver.ts';
import { converge } from './rules/fixed.ts';

/** Which workers are wanted and which may go: as Flink's driver asks, or up to a fixed target. */
export function decide(
  state: DemandState,
  events: readonly Heard[],
  moment: Moment,
): Decision<Effect> {
  const { framework, spec, fleet } = state;
  if (framework === undefined || spec === undefined || fleet === undefined) {
    return refuseAll(events, 'no cluster is recorded yet: a gateway must have led once');
  }
  const draft: Draft = {
    state,
    moment,
    spec: spec.value,
    framework: framework.value,
    counter: fleet.value.counter,
    driver: state.driver?.value,
    made: new Map(),
    changed: new Map(),
    requests: new Map(),
    kills: [],
    effects: [],
    reasons: [],
    answers: new Map(),
  };
  for (const [index, event] of events.entries()) {
    if (event.kind === 'demand') hearDriver(draft, event, index);
    if (event.kind === 'changed' && event.record === 'worker') tellDriver(draft, event.id);
  }
  if (events.some((event) => event.kind === 'tick')) {
    const session = draft.driver?.session;
    if (session !== undefined && spec.value.configured.demand.mode === 'driver') {
      endWanted(draft, session);
    }
    for (const id of state.leaving) tellDriver(draft, id);
  }
  if (state.view !== undefined && framework.value.state === 'active') converge(draft, state.view);
  return concluded(draft);
}

/** `launched` and `ended` are pushed on every hint, and `ended` on every tick until it is confirmed. */
function tellDriver(draft: Draft, id: string): void {
  const { driver } = draft;
  const worker = workerIn(draft, id);
  if (driver === undefined || worker === undefined) return;
  if (worker.state === 'ended') {
    if (worker.confirmed) return;
    const { session } = driver;
    draft.effects.push({ kind: 'ended', session, worker: id, why: worker.why });
    return;
  }
  const prefix = `${driver.session}-`;
  const counted = worker.state !== 'wanted' && worker.state !== 'stopping';
  if (!counted || worker.request?.startsWith(prefix) !== true) return;
  const n = Number(worker.request.slice(prefix.length));
  draft.effects.push({ kind: 'launched', session: driver.session, n, worker: id });
}

function concluded(draft: Draft): Decision<Effect> {
  const { state, moment } = draft;
  const { paths, fleet } = state;
  const writes: StoreOp[] = [];
  if (fleet !== undefined && draft.counter !== fleet.value.counter) {
    writes.push(replaceOf(fleet, { ...fleet.value, op: moment.op, counter: draft.counter }));
  }
  for (const [id, request] of draft.requests) writes.push(createOf(paths.request(id), request));
  for (const worker of draft.made.values()) writes.push(...newWorkerWrites(worker, paths));
  for (const [id, next] of draft.changed) {
    const read = state.workers.get(id);
    if (read !== undefined) writes.push(...workerWrites(read, next, paths));
  }
  writes.push(...driverWrites(draft, writes.length > 0));
  const moved = [...draft.made.values(), ...draft.changed.values()].filter(
    (worker) => state.workers.get(worker.id)?.value.state !== worker.state,
  );
  return {
    writes,
    effects: [
      ...killEffects(draft.framework, draft.kills),
      ...draft.effects,
      ...moved.map(workerChanged),
    ],
    reasons: draft.reasons,
    answers: draft.answers,
  };
}

/** A take-over replaces the driver's node; every other write holds only while the session does. */
function driverWrites(draft: Draft, others: boolean): StoreOp[] {
  const { driver } = draft.state;
  if (draft.driver !== undefined && draft.driver !== driver?.value) {
    const { paths } = draft.state;
    return [
      driver === undefined ? createOf(paths.driver, draft.driver) : replaceOf(driver, draft.driver),
    ];
  }
  return others && driver !== undefined ? [checkOf(driver)] : [];
}

function refuseAll(events: readonly Heard[], message: string): Decision<Effect> {
  const answers = new Map(
    events.flatMap((event, index): [number, DemandAnswer][] =>
      event.kind === 'demand' ? [[index, { status: 'refused', message }]] : [],
    ),
  );
  return { writes: [], effects: [], reasons: [], answers };
}
