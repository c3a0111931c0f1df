import type { FrameworkInfoCapabilityType, SchedulerCall } from '#proto/mesos/types.ts';
import type { ClusterSettings } from '#proto/spec.ts';

/** Builds SUBSCRIBE: the id stands in both places, as a re-subscription wants it. */
export function subscribeCall(
  settings: ClusterSettings['framework'],
  frameworkId: string,
  suppressed: boolean,
): SchedulerCall {
  const id = { value: frameworkId };
  const capabilities: FrameworkInfoCapabilityType[] = [
    'PARTITION_AWARE',
    'TASK_KILLING_STATE',
    'MULTI_ROLE',
    'REGION_AWARE',
  ];
  if (settings.gpus) capabilities.push('GPU_RESOURCES');
  return {
    type: 'SUBSCRIBE',
    framework_id: id,
    subscribe: {
      framework_info: {
        id,
        user: settings.user,
        name: settings.name,
        roles: settings.roles,
        hostname: settings.hostname,
        webui_url: settings.webuiUrl,
        principal: settings.principal,
        failover_timeout: settings.failoverTimeoutSeconds,
        // Without it an agent that restarts loses its tasks.
        checkpoint: true,
        capabilities: capabilities.map((type) => ({ type })),
      },
      ...(suppressed ? { suppressed_roles: settings.roles } : {}),
    },
  };
}
