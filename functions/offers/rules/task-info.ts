import type { EnvironmentVariable, Resource, TaskInfo } from '#proto/mesos/types.ts';
import type { WorkerRecord } from '#proto/records.ts';
import type { ClusterSettings } from '#proto/spec.ts';

/** Environment variable that carries a worker's own Flink properties, one `key=value` per line: never the command line. */
const propertiesVariable = 'DREY_TASKMANAGER_PROPERTIES';

/** The TaskInfo of a TaskManager: a plain command task, the command constant (mesos.v1.TaskInfo, CommandInfo). */
export function taskInfo(
  worker: WorkerRecord,
  place: { readonly agentId: string; readonly resources: readonly Resource[] },
  settings: ClusterSettings,
): TaskInfo {
  const { task } = settings;
  return {
    name: worker.id,
    task_id: { value: worker.id },
    agent_id: { value: place.agentId },
    resources: place.resources,
    command: {
      shell: true,
      value: task.command,
      ...(task.user === undefined ? {} : { user: task.user }),
      environment: { variables: environment(worker, settings) },
      uris: task.uris.map((uri) => ({
        value: uri.value,
        extract: uri.extract,
        executable: uri.executable,
        cache: uri.cache,
        ...(uri.outputFile === undefined ? {} : { output_file: uri.outputFile }),
      })),
    },
    kill_policy: { grace_period: { nanoseconds: Math.round(task.killGraceSeconds * 1e9) } },
    labels: {
      labels: Object.entries(task.labels).map(([key, value]) => ({ key, value })),
    },
  };
}

function environment(worker: WorkerRecord, settings: ClusterSettings): EnvironmentVariable[] {
  const variables: Record<string, string> = {
    ...settings.task.environment,
    JVM_ARGS: worker.flink?.jvm ?? '',
    TASK_NAME: worker.id,
    FRAMEWORK_NAME: settings.framework.name,
    [propertiesVariable]: properties(worker, settings).join('\n'),
  };
  return Object.entries(variables).map(([name, value]) => ({ name, type: 'VALUE', value }));
}

function properties(worker: WorkerRecord, settings: ClusterSettings): string[] {
  const host = settings.task.hostname?.replaceAll('_TASK_', worker.id);
  return [
    ...(worker.flink?.dynamic ?? []),
    ...Object.entries(worker.ports ?? {}).map(([key, port]) => `${key}=${port}`),
    ...(host === undefined ? [] : [`taskmanager.host=${host}`]),
    `taskmanager.resource-id=${worker.id}`,
  ];
}
