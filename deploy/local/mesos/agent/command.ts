import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { CommandInfo, EnvironmentVariable } from '#proto/mesos/types.ts';
import type { TaskRecord } from '../core/agent-state.ts';
import type { AgentRegistration } from '../core/protocol.ts';

/** Program and arguments of a command: shell commands run through `sh -c`. */
export function argumentsOf(command: CommandInfo, path: string | undefined): readonly string[] {
  const value = command.value ?? '';
  if (command.shell !== false) return ['/bin/sh', '-c', value];
  if (isProgram(value, path)) return [value, ...(command.arguments ?? []).slice(1)];
  // As a real executor: the task runs and fails, and its stderr says why.
  const reason = `Failed to execute '${value}': No such file or directory`;
  return ['/bin/sh', '-c', 'echo "$0" >&2; exit 1', reason];
}

function isProgram(program: string, path: string | undefined): boolean {
  const places = program.includes('/')
    ? [program]
    : (path ?? '/usr/bin:/bin').split(delimiter).map((directory) => join(directory, program));
  return places.some((place) => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** What a task finds in its environment, by the names of a real agent. */
export function environmentOf(
  record: TaskRecord,
  place: {
    readonly agentId: string;
    readonly registration: AgentRegistration;
    readonly sandbox: string;
    readonly inherited: NodeJS.ProcessEnv;
  },
): Readonly<Record<string, string>> & { readonly PATH?: string } {
  const { ip, port } = place.registration;
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(place.inherited)) {
    if (value !== undefined && !/^(MESOS_|LIBPROCESS_)/.test(name)) environment[name] = value;
  }
  Object.assign(environment, {
    LIBPROCESS_IP: ip,
    LIBPROCESS_PORT: '0',
    MESOS_AGENT_ENDPOINT: `${ip}:${port}`,
    MESOS_ALLOCATION_ROLE: record.role,
    MESOS_CHECKPOINT: record.framework.checkpoint === true ? '1' : '0',
    MESOS_DIRECTORY: place.sandbox,
    MESOS_EXECUTOR_ID: record.task.task_id.value,
    MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD: '5secs',
    MESOS_FRAMEWORK_ID: record.framework.id?.value ?? '',
    MESOS_HTTP_COMMAND_EXECUTOR: '0',
    MESOS_RECOVERY_TIMEOUT: '15mins',
    MESOS_SANDBOX: place.sandbox,
    MESOS_SLAVE_ID: place.agentId,
    MESOS_SLAVE_PID: `slave(1)@${ip}:${port}`,
    MESOS_SUBSCRIPTION_BACKOFF_MAX: '2secs',
    PWD: place.sandbox,
  });
  for (const variable of record.task.command?.environment?.variables ?? []) {
    environment[variable.name] = textOf(variable);
  }
  return environment;
}

function textOf(variable: EnvironmentVariable): string {
  const secret = variable.secret?.value?.data;
  if (variable.type === 'SECRET' && secret !== undefined) {
    return Buffer.from(secret).toString('utf8');
  }
  return variable.value ?? '';
}
