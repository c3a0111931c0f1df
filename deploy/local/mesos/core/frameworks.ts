import type { FrameworkInfo, SchedulerCallSubscribe } from '#proto/mesos/types.ts';
import { allocate } from './allocate.ts';
import { completeTask, dropOffer, offersOf, sendToAgent } from './ledger.ts';
import { masterInfo } from './master-info.ts';
import { frameworkProblem } from './roles.ts';
import type { Framework, MasterState, Step } from './state.ts';

/** SUBSCRIBE: a new framework, one that comes back, or one whose scheduler is replaced. */
export function subscribe(
  step: Step,
  subscription: SchedulerCallSubscribe,
  streamId: string,
): void {
  const { state, out } = step;
  out.push({ kind: 'answer', status: 200, body: '' });
  const problem = refusal(state, subscription);
  if (problem !== undefined) {
    endWithError(step, streamId, problem);
    return;
  }
  const given = subscription.framework_info.id?.value;
  const known = given === undefined ? undefined : state.frameworks.get(given);
  const framework = known ?? addFramework(step, subscription.framework_info, given);
  const replaced = framework.stream !== undefined;
  if (replaced) replaceStream(step, framework);
  update(framework, subscription.framework_info);
  framework.suppressed = new Set(subscription.suppressed_roles ?? []);
  const nextHeartbeat = step.now + state.options.heartbeatIntervalMs;
  framework.stream = { id: streamId, nextHeartbeat };
  framework.removeAt = undefined;
  framework.recovered = false;
  framework.reregisteredAt = step.now;
  state.streams.set(streamId, framework.id);
  greet(step, framework, streamId);
  // Agents send again what is pending, so nothing is lost with the old scheduler.
  for (const agent of state.agents.values()) {
    sendToAgent(step, agent, { kind: 'framework-updated', framework: framework.info });
  }
  // Offers of a replaced scheduler come back with the next run, those of one that was away at once.
  if (!replaced) allocate(step, state.agents.values());
}

function refusal(state: MasterState, subscription: SchedulerCallSubscribe): string | undefined {
  const problem = frameworkProblem(subscription);
  if (problem !== undefined) return problem;
  const id = subscription.framework_info.id?.value;
  const removed = id !== undefined && state.completed.has(id);
  return removed ? 'Framework has been removed' : undefined;
}

function endWithError(step: Step, streamId: string, message: string): void {
  step.out.push({ kind: 'event', streamId, event: { type: 'ERROR', error: { message } } });
  step.out.push({ kind: 'close', streamId });
}

function replaceStream(step: Step, framework: Framework): void {
  if (framework.stream === undefined) return;
  endWithError(step, framework.stream.id, 'Framework failed over');
  step.state.streams.delete(framework.stream.id);
  for (const offer of offersOf(step.state, framework)) dropOffer(step.state, offer);
}

function greet(step: Step, framework: Framework, streamId: string): void {
  const { options } = step.state;
  const subscribed = {
    framework_id: { value: framework.id },
    heartbeat_interval_seconds: options.heartbeatIntervalMs / 1000,
    master_info: masterInfo(options),
  };
  step.out.push({ kind: 'event', streamId, event: { type: 'SUBSCRIBED', subscribed } });
  step.out.push({ kind: 'event', streamId, event: { type: 'HEARTBEAT' } });
}

/** Takes a framework in; without an id it gets the master's next one. */
export function addFramework(
  step: Step,
  info: FrameworkInfo,
  given: string | undefined,
): Framework {
  const { state, now } = step;
  const id = given ?? `${state.options.masterId}-${String(state.nextFramework).padStart(4, '0')}`;
  if (given === undefined) state.nextFramework += 1;
  const framework: Framework = {
    id,
    info,
    roles: [],
    capabilities: new Set(),
    stream: undefined,
    recovered: true,
    registeredAt: now,
    reregisteredAt: now,
    removeAt: undefined,
    suppressed: new Set(),
    filters: new Map(),
    tasks: new Map(),
    unreachable: new Map(),
    completed: [],
    offers: new Set(),
    allocated: new Map(),
  };
  update(framework, info);
  state.frameworks.set(id, framework);
  return framework;
}

/** What a scheduler may change by subscribing again; `checkpoint` and `user` stay as they were. */
export function update(framework: Framework, info: FrameworkInfo): void {
  const { checkpoint, user } = framework.info;
  framework.info = { ...info, id: { value: framework.id }, checkpoint, user };
  framework.capabilities = new Set((info.capabilities ?? []).flatMap(({ type }) => type ?? []));
  framework.roles = framework.capabilities.has('MULTI_ROLE')
    ? (info.roles ?? [])
    : [info.role ?? '*'];
}

/** The stream broke: the framework waits for its scheduler as long as it asked for. */
export function streamLost(step: Step, streamId: string): void {
  const { state } = step;
  const frameworkId = state.streams.get(streamId);
  if (frameworkId === undefined) return;
  state.streams.delete(streamId);
  const framework = state.frameworks.get(frameworkId);
  if (framework?.stream?.id !== streamId) return;
  framework.stream = undefined;
  for (const offer of offersOf(state, framework)) dropOffer(state, offer);
  framework.filters.clear();
  waitForScheduler(step, framework);
}

/** Sets when a framework without a scheduler is removed; a time of 0 or less is now. */
export function waitForScheduler(step: Step, framework: Framework): void {
  const seconds = framework.info.failover_timeout ?? 0;
  if (seconds <= 0) removeFramework(step, framework);
  else framework.removeAt = step.now + seconds * 1000;
}

/** Ends a framework for good: its tasks are killed, its id never works again. */
export function removeFramework(step: Step, framework: Framework): void {
  const { state } = step;
  for (const offer of offersOf(state, framework)) dropOffer(state, offer);
  for (const task of [...framework.tasks.values(), ...framework.unreachable.values()]) {
    completeTask(state, framework, task);
    task.state = 'TASK_KILLED';
  }
  framework.unreachable.clear();
  for (const agent of state.agents.values()) {
    sendToAgent(step, agent, { kind: 'shutdown-framework', frameworkId: framework.id });
  }
  if (framework.stream !== undefined) {
    step.out.push({ kind: 'close', streamId: framework.stream.id });
    state.streams.delete(framework.stream.id);
    framework.stream = undefined;
  }
  framework.removeAt = undefined;
  state.frameworks.delete(framework.id);
  state.completed.set(framework.id, { ...framework, unregisteredAt: step.now });
}
