import { converged, indexesEmpty, toldTruly } from './end.ts';
import {
  decidedFirst,
  epochsRise,
  launchedOnce,
  offersOnce,
  oneFramework,
  ownEpoch,
} from './launches.ts';
import type { Evidence, Law } from './law.ts';
import { countedOn, inStep, onlyForward } from './records.ts';
import { acknowledgedAll, endedForAReason, killedUnwanted, storedFirst } from './updates.ts';

/** What must hold from the first moment to the last, the end of the cluster included. */
export const lawsOfTheEnd: readonly Law[] = [oneFramework];

/** What is proved once a run has come to rest. */
export const laws: readonly Law[] = [
  launchedOnce,
  decidedFirst,
  offersOnce,
  ownEpoch,
  epochsRise,
  storedFirst,
  acknowledgedAll,
  killedUnwanted,
  endedForAReason,
  onlyForward,
  countedOn,
  inStep,
  converged,
  indexesEmpty,
  toldTruly,
];

/** What became of one law. */
export interface Verdict {
  readonly law: string;
  /** How many things it has looked at: a law that has seen nothing proves nothing. */
  readonly looked: number;
  readonly broken: readonly string[];
}

/** Checks these laws; pure. */
export function check(evidence: Evidence, these: readonly Law[]): readonly Verdict[] {
  return these.map(({ name, check: look }) => {
    let looked = 0;
    const broken: string[] = [];
    look(evidence, { looked: () => (looked += 1), broken: (what) => broken.push(what) });
    return { law: name, looked, broken };
  });
}
