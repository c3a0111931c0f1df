import type { DemandAnswer, RequestMessage } from '#proto/messages.ts';
import type { WorkerRecord } from '#proto/records.ts';
import type { HeardDemand } from '../../shared/heard.ts';
import { counts, newWorker } from '../../shared/worker.ts';
import { type Draft, keep, letGo, workerIn } from './draft.ts';

/** How many superseded sessions are remembered. */
const pastKept = 100;
/** Workers of an earlier session, still wanted, that one transaction ends. */
const endedAtOnce = 100;

/** One message of the driver, and its answer. */
export function hearDriver(draft: Draft, event: HeardDemand, index: number): void {
  const answer = answered(draft, event);
  if (answer !== undefined) draft.answers.set(index, answer);
}

function answered(draft: Draft, event: HeardDemand): DemandAnswer | undefined {
  if (event.verb === 'deregister') return undefined;
  if (draft.spec.configured.demand.mode !== 'driver') {
    return { status: 'refused', message: 'drey.demand is fixed: Flink does not ask here' };
  }
  if (event.verb === 'recover') return recover(draft, event);
  if (draft.driver === undefined) {
    return { status: 'refused', message: 'no session holds the driver: send recover first' };
  }
  if (draft.driver.session !== event.session) return superseded(draft);
  switch (event.verb) {
    case 'request':
      return request(draft, event);
    case 'release':
      return release(draft, event);
    case 'confirm':
      return confirm(draft, event.workers);
  }
}

/** The newest session takes over; what earlier ones still wanted ends, since Flink asks again. */
function recover(draft: Draft, event: HeardDemand & { readonly verb: 'recover' }): DemandAnswer {
  const { driver, moment } = draft;
  const { session, flinkVersion } = event;
  if (driver?.past.includes(session) === true) return superseded(draft);
  if (driver?.session !== session) {
    const past = driver === undefined ? [] : [driver.session, ...driver.past].slice(0, pastKept);
    draft.driver = { v: 1, op: moment.op, session, past, flinkVersion, at: moment.now };
    draft.reasons.push({ about: 'driver', why: `session ${session} takes over Flink's side` });
  }
  endWanted(draft, session);
  const workers = [...draft.state.workers.values()]
    .map((read) => draft.changed.get(read.value.id) ?? read.value)
    .filter((worker) => worker.state !== 'wanted' && counts(worker.state))
    .map(({ id, state }) => ({ id, state }));
  return { status: 'ok', workers };
}

/** What earlier sessions still want ends, on take-over and on every tick: Flink asks again for what it needs. */
export function endWanted(draft: Draft, session: string): void {
  const earlier = [...draft.state.workers.values()]
    .map((read) => read.value)
    .filter((worker) => worker.state === 'wanted' && !draft.changed.has(worker.id))
    .filter((worker) => worker.request?.startsWith(`${session}-`) !== true);
  for (const worker of earlier.slice(0, endedAtOnce)) {
    letGo(draft, worker, 'wanted by an earlier session of the driver: Flink asks again');
  }
}

function request(draft: Draft, event: RequestMessage): DemandAnswer {
  const { state, moment, framework, spec } = draft;
  const id = `${event.session}-${event.n}`;
  const known = draft.requests.get(id) ?? state.requests.get(id);
  if (known !== undefined) return progress(draft, known.worker);
  if (framework.state !== 'active') {
    return { status: 'refused', message: `the framework is ${framework.state}` };
  }
  draft.counter += 1;
  const worker = newWorker(
    {
      number: draft.counter,
      size: sizeOf(event, spec.configured.worker.size),
      flink: { jvm: event.jvm, dynamic: event.dynamic },
      request: id,
      generation: spec.generation,
      epoch: framework.epoch,
      why: `asked for by Flink (request ${event.n})`,
    },
    moment,
  );
  draft.made.set(worker.id, worker);
  draft.requests.set(id, { v: 1, op: moment.op, worker: worker.id });
  draft.reasons.push({ about: worker.id, why: worker.why });
  return { status: 'ok', worker: worker.id, state: 'wanted' };
}

/** Flink says cpus, memory, slots and GPUs; disk, network and ports come from the configuration. */
function sizeOf(event: RequestMessage, configured: WorkerRecord['size']): WorkerRecord['size'] {
  const { cpus, memMb, slots, gpus } = event;
  return { ...configured, cpus, memMb, slots, gpus: gpus > 0 ? gpus : configured.gpus };
}

function progress(draft: Draft, id: string): DemandAnswer {
  const state = id === '' ? 'ended' : (workerIn(draft, id)?.state ?? 'ended');
  return { status: 'ok', worker: id, state };
}

function release(draft: Draft, event: HeardDemand & { readonly verb: 'release' }): DemandAnswer {
  const { state, moment } = draft;
  let id = event.worker;
  if (id === undefined && event.n !== undefined) {
    const requestId = `${event.session}-${event.n}`;
    const known = draft.requests.get(requestId) ?? state.requests.get(requestId);
    if (known === undefined) draft.requests.set(requestId, { v: 1, op: moment.op, worker: '' });
    id = known?.worker;
  }
  const worker = id === undefined || id === '' ? undefined : workerIn(draft, id);
  if (worker === undefined) return { status: 'ok', worker: id ?? '', state: 'ended' };
  if (counts(worker.state)) letGo(draft, worker, 'released by Flink');
  return { status: 'ok', worker: worker.id, state: workerIn(draft, worker.id)?.state ?? 'ended' };
}

function confirm(draft: Draft, ids: readonly string[]): DemandAnswer {
  for (const id of ids) {
    const worker = workerIn(draft, id);
    if (worker?.state !== 'ended' || worker.confirmed) continue;
    keep(draft, { ...worker, op: draft.moment.op, confirmed: true });
  }
  return { status: 'ok' };
}

function superseded(draft: Draft): DemandAnswer {
  const holder = draft.driver?.session ?? 'another session';
  return { status: 'superseded', message: `${holder} holds Flink's side` };
}
