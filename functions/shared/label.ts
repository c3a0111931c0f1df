import type { Heard } from './heard.ts';

/** Short name of an event for the decision log. */
export function labelOf(event: Heard): string {
  switch (event.kind) {
    case 'offers':
      return `offers ${event.offers.length}`;
    case 'inverse-offers':
      return `inverse-offers ${event.offers.length}`;
    case 'lapsed':
      return `lapsed ${event.offerIds.length}`;
    case 'update':
      return `update ${event.status.task_id.value} ${event.status.state}`;
    case 'tick':
      return 'tick';
    case 'changed':
      return `changed ${event.record} ${event.id} ${event.state}`;
    case 'demand':
      return `demand ${event.verb}`;
    case 'command':
      return `command ${event.name} ${event.id}`;
    case 'refused':
      return `refused ${event.op}`;
    case 'subscribed':
      return `subscribed ${event.epoch}`;
    case 'failure':
      return `failure ${event.agentId} ${event.executorId}`.trim();
    case 'remark':
      return event.what;
    case 'acknowledged':
      return `acknowledged ${event.worker}`;
  }
}
