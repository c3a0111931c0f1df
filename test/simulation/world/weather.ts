import type { BusWeather } from './bus/server.ts';
import type { MesosWeather } from './mesos/master.ts';
import type { StoreWeather } from './store/ensemble.ts';

/** A quiet network and three servers, the second and third of them a little behind. */
export function calmStore(): StoreWeather {
  return { latencyMs: 0.8, agreeMs: 3, lagMs: [0.2, 4, 12] };
}

/** A quiet NATS: nothing is lost, doubled or held up. */
export function calmBus(): BusWeather {
  return { latencyMs: 1, delayChance: 0, delayMs: 0, lossChance: 0, doubleChance: 0 };
}

/** A quiet way to Mesos: every call is answered, nothing is lost between master and agents. */
export function calmMesos(): MesosWeather {
  return {
    latencyMs: 2,
    doubtChance: 0,
    doubleChance: 0,
    agentLossChance: 0,
    acknowledgeLossChance: 0,
  };
}
