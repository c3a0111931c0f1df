import type { Subjects } from '#proto/subjects.ts';
import type { Bus } from '#runtime/bus/bus.ts';

const day = 24 * 3600 * 1000;
const mebibyte = 1024 * 1024;

/** The two streams of a cluster: commands until they are applied, decisions up to a size and an age. */
export async function ensureStreams(bus: Bus, subjects: Subjects, replicas = 1): Promise<void> {
  await bus.ensureStream({
    name: subjects.adminStream,
    subjects: [subjects.everyAdmin],
    retention: 'workqueue',
    maxBytes: 16 * mebibyte,
    maxAgeMs: 7 * day,
    replicas,
  });
  await bus.ensureStream({
    name: subjects.decisionStream,
    subjects: [subjects.everyDecision, subjects.everySetAside],
    retention: 'limits',
    maxBytes: 64 * mebibyte,
    maxAgeMs: 7 * day,
    replicas,
  });
}
