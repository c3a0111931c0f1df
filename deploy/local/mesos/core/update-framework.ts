import type { SchedulerCallUpdateFramework } from '#proto/mesos/types.ts';
import { update } from './frameworks.ts';
import { offersOf, rescind } from './ledger.ts';
import { frameworkProblem } from './roles.ts';
import type { Framework, Step } from './state.ts';

/** UPDATE_FRAMEWORK answers at once: 200, or 400 with the reason. */
export function updateFramework(
  step: Step,
  framework: Framework,
  call: SchedulerCallUpdateFramework,
): void {
  const { framework_info: info, suppressed_roles: suppressed } = call;
  const problem =
    frameworkProblem({ framework_info: info, suppressed_roles: suppressed }) ??
    fixed(framework, info, 'checkpoint', false) ??
    fixed(framework, info, 'user', '') ??
    fixed(framework, info, 'principal', '');
  if (problem !== undefined) {
    const body = `FrameworkInfo update is not valid: ${problem}`;
    step.out.push({ kind: 'answer', status: 400, body });
    return;
  }
  update(framework, info);
  framework.suppressed = new Set(suppressed ?? []);
  for (const offer of offersOf(step.state, framework)) {
    if (!framework.roles.includes(offer.role)) rescind(step, offer);
  }
  step.out.push({ kind: 'answer', status: 200, body: '' });
}

function fixed<Field extends 'checkpoint' | 'user' | 'principal'>(
  framework: Framework,
  info: SchedulerCallUpdateFramework['framework_info'],
  field: Field,
  otherwise: boolean | string,
): string | undefined {
  const was = framework.info[field] ?? otherwise;
  const wanted = info[field] ?? otherwise;
  if (was === wanted) return undefined;
  return `Updating 'FrameworkInfo.${field}' is unsupported; attempted to update from '${was}' to '${wanted}'`;
}
