import type { FrameworkInfo, SchedulerCallSubscribe } from '#proto/mesos/types.ts';

/** A Duration of Mesos holds 2^63 ns. */
const longestFailoverSeconds = 9_223_372_036;

/** Why a framework's description is refused, in a master's words. */
export function frameworkProblem(subscription: SchedulerCallSubscribe): string | undefined {
  const info = subscription.framework_info;
  return (
    rolesProblem(info) ??
    idProblem(info.id?.value) ??
    failoverProblem(info) ??
    suppressedProblem(info, subscription.suppressed_roles ?? [])
  );
}

/** Why an id (of a framework, a task, ...) is refused. */
export function idProblem(id: string | undefined): string | undefined {
  if (id === undefined) return undefined;
  if (id === '') return 'ID must not be empty';
  if (id.length > 255) return 'ID must not be greater than 255 characters';
  if (id === '.' || id === '..') return `'${id}' is disallowed`;
  return [...id].some(isForbidden) ? `'${id}' contains invalid characters` : undefined;
}

function isForbidden(character: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x20 || code === 0x7f || character === '/' || character === '\\';
}

/** Whether role and roles agree with the MULTI_ROLE capability and are roles at all. */
export function rolesProblem(info: FrameworkInfo): string | undefined {
  const multiRole = (info.capabilities ?? []).some(({ type }) => type === 'MULTI_ROLE');
  const roles = info.roles ?? [];
  if (multiRole && info.role !== undefined) {
    return "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable";
  }
  if (!multiRole && roles.length > 0) {
    return "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable";
  }
  const twice = [...new Set(roles.filter((role, n) => roles.indexOf(role) !== n))];
  if (twice.length > 0) {
    return `'FrameworkInfo.roles' contains duplicate items: { ${twice.join(', ')} }`;
  }
  const field = multiRole ? 'roles' : 'role';
  for (const role of multiRole ? roles : [info.role ?? '*']) {
    const why = roleProblem(role);
    if (why === undefined) continue;
    return multiRole
      ? `'FrameworkInfo.${field}' contains invalid role: ${why}`
      : `'FrameworkInfo.${field}' is not a valid role: ${why}`;
  }
  return undefined;
}

function roleProblem(role: string): string | undefined {
  if (role === '*') return undefined;
  if (role === '') return 'Empty role name is invalid';
  if (role.startsWith('/')) return `Role '${role}' cannot start with a slash`;
  if (role.endsWith('/')) return `Role '${role}' cannot end with a slash`;
  for (const component of role.split('/')) {
    if (component === '') return `Role '${role}' cannot contain two adjacent slashes`;
    if (component === '.' || component === '..') return `Role component '${component}' is invalid`;
    if (component === '*') return "Role component '*' is invalid";
    if (component.startsWith('-')) {
      return `Role component '${component}' is invalid because it begins with a dash`;
    }
    if (/[\s\b]/.test(component)) {
      return `Role component '${component}' is invalid because it contains backspace or whitespace`;
    }
  }
  return undefined;
}

function failoverProblem(info: FrameworkInfo): string | undefined {
  const seconds = info.failover_timeout ?? 0;
  if (Math.abs(seconds) <= longestFailoverSeconds) return undefined;
  return `The framework failover_timeout (${seconds}) is invalid`;
}

function suppressedProblem(info: FrameworkInfo, suppressed: readonly string[]): string | undefined {
  const multiRole = (info.capabilities ?? []).some(({ type }) => type === 'MULTI_ROLE');
  const roles = multiRole ? (info.roles ?? []) : [info.role ?? '*'];
  const foreign = suppressed.filter((role) => !roles.includes(role));
  if (foreign.length === 0) return undefined;
  return `Suppressed roles { ${foreign.join(', ')} } are not contained in the set of roles`;
}
