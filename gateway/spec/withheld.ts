import { scryptSync } from 'node:crypto';
import type { OfferOperation, SchedulerCall, TaskInfo } from '#proto/mesos/types.ts';
import type { ClusterSettings } from '#proto/spec.ts';

/** What of the settings is stored, and how the rest comes into a task at the last moment. */
export interface Withheld {
  /** The settings with a name in place of each value that may be secret. */
  readonly stored: ClusterSettings;
  /** An ACCEPT with the values in place of their names; a sentence where one is not of this configuration. */
  complete(call: SchedulerCall): SchedulerCall | string;
}

const mark = 'drey:withheld:';

/**
 * Takes out of the settings what only tasks need and what may be secret: every value of their environment,
 * and the addresses that they fetch from (the artifact token is in ours). The record holds names in their
 * place; only the gateway, which has the configuration anyhow, knows the values. A name changes with its value.
 */
export function withhold(
  settings: ClusterSettings,
  cluster: string,
  artifactUrls: readonly string[],
): Withheld {
  const { environment, uris } = settings.task;
  const values = new Map<string, string>();
  const name = (text: string, value: string): string => {
    values.set(`${mark}${text}`, value);
    return `${mark}${text}`;
  };
  const foreign = uris.map(({ value }) => value).filter((value) => !artifactUrls.includes(value));
  const print = fingerprint([environment, foreign], cluster);
  const variables = Object.entries(environment).map(([key, value]) => {
    return [key, name(`${print}:${key}`, value)] as const;
  });
  const addresses = uris.map((uri, at) => {
    const ours = artifactUrls.includes(uri.value) ? contentOf(uri.value) : undefined;
    return { ...uri, value: name(ours ?? `${print}:uri-${at + 1}`, uri.value) };
  });
  const task = { ...settings.task, environment: Object.fromEntries(variables), uris: addresses };
  return { stored: { ...settings, task }, complete: (call) => complete(call, values) };
}

/** `<sha256>/<name>` of one of our artifacts: the same on every gateway that ships the same. */
function contentOf(url: string): string {
  return new URL(url).pathname.split('/').slice(-2).join('/');
}

/** Slow to compute, so that a weak secret cannot be guessed from it. */
function fingerprint(value: unknown, cluster: string): string {
  const salt = `drey/${cluster}`;
  return scryptSync(JSON.stringify(value), salt, 8, { N: 2 ** 15, maxmem: 2 ** 26 }).toString(
    'hex',
  );
}

/** A name that is not among ours: the record is of another configuration, and the task must not start so. */
class UnknownName extends Error {}

function complete(
  call: SchedulerCall,
  values: ReadonlyMap<string, string>,
): SchedulerCall | string {
  const reveal = (text: string): string => {
    if (!text.startsWith(mark)) return text;
    const value = values.get(text);
    if (value === undefined) throw new UnknownName(text.slice(mark.length));
    return value;
  };
  const { accept } = call;
  if (accept === undefined) return call;
  try {
    const operations = (accept.operations ?? []).map((operation) => launch(operation, reveal));
    return { ...call, accept: { ...accept, operations } };
  } catch (error) {
    if (!(error instanceof UnknownName)) throw error;
    return `its task names ${error.message}, which is not of this gateway's configuration`;
  }
}

type Reveal = (text: string) => string;

function launch(operation: OfferOperation, reveal: Reveal): OfferOperation {
  const tasks = operation.launch?.task_infos;
  if (tasks === undefined) return operation;
  return { ...operation, launch: { task_infos: tasks.map((task) => completeTask(task, reveal)) } };
}

function completeTask(task: TaskInfo, reveal: Reveal): TaskInfo {
  const { command } = task;
  if (command === undefined) return task;
  const variables = command.environment?.variables ?? [];
  return {
    ...task,
    command: {
      ...command,
      environment: {
        variables: variables.map((each) =>
          each.value === undefined ? each : { ...each, value: reveal(each.value) },
        ),
      },
      uris: command.uris?.map((uri) => ({ ...uri, value: reveal(uri.value) })) ?? [],
    },
  };
}
