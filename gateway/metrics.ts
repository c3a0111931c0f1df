import { Counter, type Registry } from 'prom-client';
import { gauge } from '#runtime/metrics.ts';
import type { GatewayMetrics } from './core/surroundings.ts';
import type { GatewayStatus } from './core.ts';

/** What a gateway counts, in a registry. */
export function gatewayMetrics(registry: Registry): GatewayMetrics {
  const registers = [registry];
  const events = new Counter({
    registers,
    name: 'drey_mesos_events_total',
    help: 'Events that Mesos sent',
    labelNames: ['type'] as const,
  });
  const missed = new Counter({
    registers,
    name: 'drey_mesos_events_missed_total',
    help: 'Events that reached no function',
    labelNames: ['type'] as const,
  });
  const calls = new Counter({
    registers,
    name: 'drey_mesos_calls_total',
    help: 'Calls to Mesos by what became of them',
    labelNames: ['type', 'outcome'] as const,
  });
  return {
    event: (type) => events.inc({ type }),
    missed: (type) => missed.inc({ type }),
    call: (type, outcome) => calls.inc({ type, outcome }),
  };
}

/** The levels of a gateway, read when they are scraped. */
export function watchStatus(registry: Registry, status: () => GatewayStatus): void {
  gauge(registry, 'drey_gateway_leads', 'Whether this gateway leads', () => +status().leads);
  gauge(
    registry,
    'drey_mesos_subscribed',
    'Whether a subscription to Mesos stands',
    () => +status().subscribed,
  );
  gauge(
    registry,
    'drey_mesos_epoch',
    'The epoch of the present subscription',
    () => status().epoch,
  );
  gauge(registry, 'drey_offers_lent', 'Offers neither answered nor rescinded', () => status().lent);
  gauge(
    registry,
    'drey_mesos_suppressed',
    'Whether offers are suppressed',
    () => +status().suppressed,
  );
}
