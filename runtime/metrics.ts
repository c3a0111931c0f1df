import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { RunMetrics } from './run/options.ts';

/** The package cannot be told to measure nothing, only how often. */
const hourMs = 3_600_000;

/**
 * A registry of its own for one process, with Node's own figures. The histogram of the event loop's
 * delay is left out: it wakes a process a hundred times a second, half a percent of a core at rest.
 * `nodejs_eventloop_lag_seconds`, measured when it is scraped, stays.
 */
export function createRegistry(labels: Readonly<Record<string, string>>): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ ...labels });
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: hourMs });
  for (const figure of ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99']) {
    registry.removeSingleMetric(`nodejs_eventloop_lag_${figure}_seconds`);
  }
  return registry;
}

/** What the runner of one function counts, by the label `function`. */
export function functionMetrics(registry: Registry): (name: string) => RunMetrics {
  const shared = { registers: [registry], labelNames: ['function'] as const };
  const events = new Counter({
    ...shared,
    name: 'drey_events_handled_total',
    help: 'Events whose decision was stored and performed',
  });
  const seconds = new Histogram({
    ...shared,
    name: 'drey_decision_seconds',
    help: 'Time of one batch from load to the last effect',
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
  });
  const lost = new Counter({
    ...shared,
    name: 'drey_races_lost_total',
    help: 'Transactions that another copy was quicker than',
  });
  const aside = new Counter({
    ...shared,
    name: 'drey_events_set_aside_total',
    help: 'Events that could not be read or that broke a decision',
  });
  const failed = new Counter({
    ...shared,
    name: 'drey_failures_total',
    help: 'Decisions and effects that failed and were or will be repeated',
  });
  const unreadable = new Counter({
    ...shared,
    name: 'drey_unreadable_records_total',
    help: 'Readings of a record that does not parse or is of a newer version',
  });
  return (name) => ({
    handled: (count, tookMs) => {
      events.inc({ function: name }, count);
      seconds.observe({ function: name }, tookMs / 1000);
    },
    lost: () => lost.inc({ function: name }),
    setAside: () => aside.inc({ function: name }),
    failed: () => failed.inc({ function: name }),
    unreadable: () => unreadable.inc({ function: name }),
  });
}

/** A figure that is asked for when it is scraped. */
export function gauge(registry: Registry, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}
