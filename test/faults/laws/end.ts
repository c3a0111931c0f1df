import { type Law, taken } from './law.ts';

export const converged: Law = {
  name: 'the fleet converges to what is asked: nothing is lost, nothing is left over',
  check: ({ past, end }, found) => {
    const records = new Map(past.present.map((worker) => [worker.id, worker]));
    for (const { id, state, agentId } of end.tasks) {
      found.looked();
      const record = records.get(id);
      if (record === undefined) found.broken(`${id} runs without a record`);
      else if (record.state !== 'running')
        found.broken(`${id} is ${state}, recorded ${record.state}`);
      else if (record.agentId !== agentId) {
        found.broken(`${id} runs on ${agentId}, recorded on ${record.agentId}`);
      }
    }
    const live = new Set(end.tasks.map(({ id }) => id));
    for (const { id, state, why } of records.values()) {
      if (state === 'running' && !live.has(id))
        found.broken(`${id} is recorded as running, and lost`);
      if (state !== 'running') found.broken(`${id} is still ${state}: ${why}`);
    }
    if (live.size !== end.target)
      found.broken(`${live.size} tasks live, ${end.target} are asked for`);
  },
};

export const indexesEmpty: Law = {
  name: 'no index is left over in the end',
  check: ({ commits, paths }, found) => {
    const left = new Set<string>();
    for (const { changes } of commits) {
      for (const { kind, path } of changes) {
        const folder = path.slice(0, path.lastIndexOf('/'));
        if (![paths.waiting, paths.leaving, paths.due].includes(folder)) continue;
        found.looked();
        if (kind === 'delete') left.delete(path);
        else left.add(path);
      }
    }
    for (const path of left) found.broken(`${path} is left`);
  },
};

/** Lines may be missing (a copy died before it had told), none may tell what is not stored. */
export const toldTruly: Law = {
  name: 'the decision log tells of no launch that was not decided so',
  check: (evidence, found) => {
    for (const { op, effects } of evidence.decisions) {
      for (const effect of effects) {
        const ids = /^ACCEPT .*: LAUNCH (.+)$/.exec(effect)?.[1]?.split(' ') ?? [];
        for (const id of ids) {
          found.looked();
          const versions = evidence.past.workers.get(id) ?? [];
          const decided = versions.some(({ value }) => value?.launch?.op === op);
          if (!decided) found.broken(`${id} is told as launched by ${op}; no such write is stored`);
        }
      }
    }
  },
};

/** Share of the launches that stand in the decision log. */
export function shareTold(evidence: Parameters<Law['check']>[0]): number {
  const told = new Set(
    evidence.decisions.flatMap(({ effects }) =>
      effects.flatMap((effect) => /^ACCEPT .*: LAUNCH (.+)$/.exec(effect)?.[1]?.split(' ') ?? []),
    ),
  );
  const launched = taken(evidence, 'ACCEPT').flatMap(({ tasks = [] }) => tasks);
  return launched.filter((id) => told.has(id)).length / Math.max(1, launched.length);
}
