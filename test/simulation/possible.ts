import { type Cell, type Input, inputs, type Row, rows } from './table.ts';

/**
 * What can befall a worker in each state and does so in 2,000 seeds (see
 * `functions/updates/rules/table.ts` for what follows from it). A cell named here that is not reached
 * shows faults that have become too tame.
 */
const expected: Readonly<Record<Row, readonly Input[]>> = {
  // Forgotten after its end, or never heard of by this store: whatever Mesos and Flink still say.
  none: [
    ...(['staging', 'starting', 'running', 'killing', 'over', 'unreachable', 'unknown'] as const),
    ...(['stray', 'released', 'confirmed', 'stop'] as const),
  ],
  wanted: ['stray', 'offered', 'released', 'recovered', 'stop'],
  launching: [
    ...(['staging', 'starting', 'running', 'over', 'unreachable', 'unknown', 'stray'] as const),
    ...(['refused', 'due', 'released', 'recovered', 'stop'] as const),
  ],
  starting: [
    ...(['starting', 'running', 'over', 'unreachable', 'unknown', 'stray'] as const),
    ...(['released', 'recovered', 'stop'] as const),
  ],
  running: [
    ...(['starting', 'running', 'over', 'unreachable', 'unknown', 'stray'] as const),
    ...(['released', 'recovered', 'stop'] as const),
  ],
  unreachable: [
    ...(['starting', 'running', 'over', 'unreachable', 'unknown'] as const),
    ...(['due', 'released', 'recovered', 'stop'] as const),
  ],
  stopping: [
    ...(['starting', 'running', 'killing', 'over', 'unreachable', 'unknown'] as const),
    ...(['refused', 'due', 'released', 'recovered', 'stop'] as const),
  ],
  ended: [
    ...(['starting', 'running', 'killing', 'over', 'unknown', 'stray'] as const),
    ...(['refused', 'due', 'released', 'recovered', 'confirmed', 'stop'] as const),
  ],
};

/**
 * What cannot be, so that reaching it is a defect. Cells in neither list are decided upon only from a
 * read of the past, which then loses its race, or need several rare faults within a second.
 */
const impossible: Readonly<Record<Row, readonly Input[]>> = {
  // These three start from records that were read.
  none: ['offered', 'due', 'recovered'],
  // It has no deadline.
  wanted: ['due'],
  // Offers are for those that wait. Only `launching`, `unreachable`, `stopping`, `ended` have deadlines.
  launching: ['offered'],
  starting: ['offered', 'due'],
  running: ['offered', 'due'],
  unreachable: ['offered'],
  stopping: ['offered'],
  ended: ['offered'],
};

/** Possible cells that these counts do not show. */
export function neverReached(cells: ReadonlyMap<Cell, number>): readonly Cell[] {
  return named(expected).filter((cell) => !cells.has(cell));
}

/** Impossible cells that they show. */
export function wronglyReached(cells: ReadonlyMap<Cell, number>): readonly Cell[] {
  return named(impossible).filter((cell) => cells.has(cell));
}

function named(cells: Readonly<Record<Row, readonly Input[]>>): readonly Cell[] {
  return rows.flatMap((row) =>
    inputs.filter((input) => cells[row].includes(input)).map((input): Cell => `${row} × ${input}`),
  );
}
