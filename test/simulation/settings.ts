import type { Resource } from '#proto/mesos/types.ts';
import type { ClusterSettings } from '#proto/spec.ts';

/** What the simulated cluster is made of: the defaults of a real one, with shorter pauses. */
export function simulatedSettings(mode: 'driver' | 'fixed', target: number): ClusterSettings {
  return {
    framework: {
      name: 'simulated',
      user: 'flink',
      roles: ['*'],
      hostname: 'gateway',
      failoverTimeoutSeconds: 604_800,
      gpus: false,
    },
    task: {
      command: './mesos-taskmanager.sh',
      environment: { FLINK_HOME: '/flink' },
      uris: [],
      labels: {},
      killGraceSeconds: 5,
    },
    worker: {
      size: {
        cpus: 1,
        memMb: 1024,
        diskMb: 0,
        gpus: 0,
        network: 0,
        slots: 2,
        ports: ['taskmanager.rpc.port', 'taskmanager.data.port'],
      },
    },
    networkResource: 'network',
    hostAttributes: [],
    offers: { refuseSeconds: 5, idleRefuseSeconds: 300 },
    demand: { mode, target },
    failures: {
      maxPerMinute: 10,
      pauseMs: 3000,
      launchTimeoutMs: 30_000,
      unreachableGraceMs: 60_000,
      killRepeatMs: 10_000,
      agentPenaltyMs: 5000,
    },
    reconcile: {
      explicitBaseMs: 5000,
      explicitMaxMs: 60_000,
      implicitEveryMs: 60_000,
      batch: 100,
      masterSettleMs: 60_000,
    },
  };
}

/** What each simulated agent offers: room for `workers` of the size above. */
export function agentResources(workers: number): readonly Resource[] {
  const scalar = (name: string, value: number): Resource => ({
    name,
    type: 'SCALAR',
    scalar: { value },
  });
  return [
    scalar('cpus', workers),
    scalar('mem', workers * 1024),
    scalar('disk', 10_000),
    { name: 'ports', type: 'RANGES', ranges: { range: [{ begin: 31_000, end: 31_999 }] } },
  ];
}
