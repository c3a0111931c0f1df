import type { SchedulerCall, SchedulerCallReconcileOperations } from '#proto/mesos/types.ts';
import { accept } from './accept.ts';
import { addFilter, allocate } from './allocate.ts';
import { callRefusal } from './call-form.ts';
import { removeFramework, subscribe } from './frameworks.ts';
import { dropOffer, sendToAgent } from './ledger.ts';
import { reconcile } from './reconcile.ts';
import type { Framework, MasterInput, Step } from './state.ts';
import { acknowledge, kill } from './tasks.ts';
import { updateFramework } from './update-framework.ts';

/** One call of the scheduler API: exactly one answer comes out, and what follows from it. */
export function handleCall(
  step: Step,
  input: Extract<MasterInput, { readonly kind: 'call' }>,
): void {
  const { state, out } = step;
  const { call } = input;
  const refusal = callRefusal(state, call, input.streamId);
  if (refusal !== undefined) {
    out.push({ kind: 'answer', ...refusal });
    return;
  }
  if (call.type === 'SUBSCRIBE' && call.subscribe !== undefined) {
    subscribe(step, call.subscribe, input.newStreamId);
    return;
  }
  const framework = state.frameworks.get(call.framework_id?.value ?? '');
  if (framework === undefined) return;
  if (call.type === 'UPDATE_FRAMEWORK' && call.update_framework !== undefined) {
    updateFramework(step, framework, call.update_framework);
    return;
  }
  out.push({ kind: 'answer', status: 202, body: '' });
  perform(step, framework, call);
}

/** What an accepted call does. Calls about things that do not exist here do nothing, silently. */
function perform(step: Step, framework: Framework, call: SchedulerCall): void {
  if (call.type === 'TEARDOWN') removeFramework(step, framework);
  if (call.type === 'ACCEPT' && call.accept) accept(step, framework, call.accept);
  if (call.type === 'DECLINE') decline(step, framework, call);
  if (call.type === 'SUPPRESS') suppress(framework, call.suppress?.roles ?? []);
  if (call.type === 'REVIVE') revive(step, framework, call.revive?.roles ?? []);
  if (call.type === 'KILL' && call.kill) kill(step, framework, call.kill);
  if (call.type === 'ACKNOWLEDGE' && call.acknowledge) {
    acknowledge(step, framework, call.acknowledge);
  }
  if (call.type === 'RECONCILE' && call.reconcile) reconcile(step, framework, call.reconcile);
  if (call.type === 'SHUTDOWN') shutdown(step, framework, call);
  if (call.type === 'RECONCILE_OPERATIONS' && call.reconcile_operations) {
    noOperations(step, framework, call.reconcile_operations);
  }
}

function decline(step: Step, framework: Framework, call: SchedulerCall): void {
  const refuseSeconds = call.decline?.filters?.refuse_seconds;
  for (const { value } of call.decline?.offer_ids ?? []) {
    const offer = step.state.offers.get(value);
    if (offer?.frameworkId !== framework.id) continue;
    dropOffer(step.state, offer);
    addFilter(step, framework, { ...offer, refuseSeconds });
    step.state.history.offers.declined += 1;
  }
}

function suppress(framework: Framework, roles: readonly string[]): void {
  for (const role of roles.length > 0 ? roles : framework.roles) {
    if (framework.roles.includes(role)) framework.suppressed.add(role);
  }
}

/** Forgets the refusals and offers at once, without waiting for the next run. */
function revive(step: Step, framework: Framework, roles: readonly string[]): void {
  for (const role of roles.length > 0 ? roles : framework.roles) {
    framework.suppressed.delete(role);
    framework.filters.delete(role);
  }
  allocate(step, step.state.agents.values());
}

function shutdown(step: Step, framework: Framework, call: SchedulerCall): void {
  const agent = step.state.agents.get(call.shutdown?.agent_id.value ?? '');
  const executorId = call.shutdown?.executor_id.value;
  if (agent === undefined || executorId === undefined) return;
  sendToAgent(step, agent, { kind: 'shutdown-executor', frameworkId: framework.id, executorId });
}

/** There are no operations but launches here: every other one is unknown. */
function noOperations(
  step: Step,
  framework: Framework,
  call: SchedulerCallReconcileOperations,
): void {
  const { stream } = framework;
  if (stream === undefined) return;
  for (const { operation_id, agent_id } of call.operations ?? []) {
    const why = agent_id === undefined ? " and no 'agent_id' was provided" : '';
    const status = {
      operation_id,
      state: 'OPERATION_UNKNOWN',
      message: `Reconciliation: Operation is unknown${why}`,
      agent_id,
    } as const;
    const event = { type: 'UPDATE_OPERATION_STATUS', update_operation_status: { status } } as const;
    step.out.push({ kind: 'event', streamId: stream.id, event });
  }
}
