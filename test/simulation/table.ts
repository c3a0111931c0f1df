import type { AdminState } from '#functions/admin/decide.ts';
import type { AnyFunction } from '#functions/all.ts';
import type { DemandState } from '#functions/demand/rules/draft.ts';
import type { FailuresState } from '#functions/failures/decide.ts';
import type { OffersState } from '#functions/offers/decide.ts';
import type { Heard } from '#functions/shared/heard.ts';
import type { UpdatesState } from '#functions/updates/decide.ts';
import { type Said, saidBy } from '#functions/updates/rules/table.ts';
import { type WorkerRecord, workerStates } from '#proto/records.ts';
import type { Versioned } from '#runtime/store/ops.ts';

/** What Mesos says of a task, as `functions/updates/rules/table.ts` tells it apart. */
export const saids = [
  'staging',
  'starting',
  'running',
  'killing',
  'over',
  'unreachable',
  'unknown',
  'stray',
] as const satisfies readonly Said[];

/** What else befalls a worker: an offer, a refused ACCEPT, a deadline, Flink's word, a command. */
const others = ['offered', 'refused', 'due', 'released', 'recovered', 'confirmed', 'stop'] as const;

export const inputs = [...saids, ...others];
export type Input = (typeof inputs)[number];
/** `none`: there is no record of the worker. */
export const rows = ['none', ...workerStates] as const;
export type Row = (typeof rows)[number];
export type Cell = `${Row} × ${Input}`;

/** What was decided upon: each worker's state, and what befell it in that state. */
export class Table {
  readonly cells = new Map<Cell, number>();

  /** The same function, whose every decision is counted. */
  watch(definition: AnyFunction): AnyFunction {
    const look = looks[definition.name];
    if (look === undefined) return definition;
    return {
      ...definition,
      decide: (state, events, moment) => {
        for (const [worker, input] of look(state, events, moment.now)) {
          const cell: Cell = `${worker?.state ?? 'none'} × ${input}`;
          this.cells.set(cell, (this.cells.get(cell) ?? 0) + 1);
        }
        return definition.decide(state, events, moment);
      },
    };
  }
}

type Look<State> = (
  state: State,
  events: readonly Heard[],
  now: number,
) => readonly (readonly [WorkerRecord | undefined, Input])[];

// biome-ignore lint/suspicious/noExplicitAny: each function has a state of its own.
const looks: Readonly<Record<string, Look<any>>> = {
  updates: (({ workers }, events) =>
    events.flatMap((event) =>
      event.kind === 'update'
        ? [[workers.get(event.status.task_id.value)?.value, saidBy(event.status)] as const]
        : [],
    )) satisfies Look<UpdatesState>,
  offers: (({ waiting, refused }, events) => [
    ...(events.some((event) => event.kind === 'offers') ? all(waiting, 'offered') : []),
    ...events.flatMap((event) =>
      event.kind === 'refused'
        ? event.workers.map((id) => [refused.get(id)?.value, 'refused'] as const)
        : [],
    ),
  ]) satisfies Look<OffersState>,
  failures: (({ workers }, _events, now) =>
    all(
      workers.filter(({ value: { due } }) => due !== undefined && due <= now),
      'due',
    )) satisfies Look<FailuresState>,
  demand: ((state, events) =>
    events.flatMap((event) =>
      event.kind === 'demand' ? driven(state, event) : [],
    )) satisfies Look<DemandState>,
  admin: (({ workers }, events) =>
    events.flatMap((event) => {
      const id =
        event.kind === 'command' && event.name === 'stop' ? stopped(event.body) : undefined;
      return id === undefined ? [] : [[workers.get(id)?.value, 'stop'] as const];
    })) satisfies Look<AdminState>,
};

function driven(
  { workers, requests }: DemandState,
  event: Heard & { readonly kind: 'demand' },
): ReturnType<Look<DemandState>> {
  switch (event.verb) {
    case 'recover':
      return all([...workers.values()], 'recovered');
    case 'confirm':
      return event.workers.map((id) => [workers.get(id)?.value, 'confirmed'] as const);
    case 'release': {
      const asked = requests.get(`${event.session}-${event.n}`)?.worker;
      return [[workers.get(event.worker ?? asked ?? '')?.value, 'released']];
    }
    default:
      return [];
  }
}

function all(
  workers: readonly Versioned<WorkerRecord>[],
  input: Input,
): readonly (readonly [WorkerRecord, Input])[] {
  return workers.map(({ value }) => [value, input] as const);
}

function stopped(body: string): string | undefined {
  return /"worker":"([^"]+)"/.exec(body)?.[1];
}
