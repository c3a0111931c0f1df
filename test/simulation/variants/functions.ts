import type { AnyFunction } from '#functions/all.ts';
import type { Effect } from '#functions/shared/effect.ts';
import type { Heard } from '#functions/shared/heard.ts';
import { workerNumber } from '#functions/shared/worker.ts';
import { recordPathsOf } from '#proto/records.ts';
import type { Decision } from '#runtime/function.ts';

/** Wraps one function and leaves the others as they are. */
export type Wrapping = (definition: AnyFunction) => AnyFunction;

const paths = recordPathsOf('/drey', 'sim');

function only(name: string, wrap: Wrapping): Wrapping {
  return (definition) => (definition.name === name ? wrap(definition) : definition);
}

/** Decides upon something else than was heard, or adds to what was decided. */
function deciding(
  name: string,
  {
    hear = (events) => events,
    amend = (decision) => decision,
  }: {
    readonly hear?: (events: readonly Heard[]) => readonly Heard[];
    readonly amend?: (
      decision: Decision<Effect>,
      state: Parameters<AnyFunction['decide']>[0],
      events: readonly Heard[],
    ) => Decision<Effect>;
  },
): Wrapping {
  return only(name, (definition) => ({
    ...definition,
    decide: (state, events, moment) => {
      const heard = hear(events);
      return amend(definition.decide(state, heard, moment), state, heard);
    },
  }));
}

/** Performs effects of a kind as soon as they are decided, before anything is written. */
export function early(name: string, kind: Effect['kind']): Wrapping {
  return only(name, (definition) =>
    deciding(name, {
      amend: (decision) => {
        for (const effect of decision.effects) {
          if (effect.kind === kind) definition.perform(effect, {}).catch(() => undefined);
        }
        return {
          ...decision,
          effects: decision.effects.filter((effect) => effect.kind !== kind),
        };
      },
    })(definition),
  );
}

/** Never performs effects of a kind. */
export function without(name: string, kind: Effect['kind']): Wrapping {
  return only(name, (definition) => ({
    ...definition,
    perform: async (effect, headers) =>
      effect.kind === kind ? [] : definition.perform(effect, headers),
  }));
}

/** Decides nothing, ever. */
export function mute(name: string): Wrapping {
  return only(name, (definition) => ({
    ...definition,
    decide: () => ({ writes: [], effects: [], reasons: [] }),
  }));
}

/** SUPPRESS goes out behind every REVIVE. */
export const suppressLast: Wrapping = deciding('offers', {
  amend: (decision) => ({
    ...decision,
    effects: decision.effects.flatMap((effect): Effect[] =>
      effect.kind === 'revive' ? [effect, { ...effect, kind: 'suppress' }] : [effect],
    ),
  }),
});

/** What reconciliation answers is not heard. */
export const deafToReconciliation: Wrapping = deciding('updates', {
  hear: (events) =>
    events.filter(
      (event) => event.kind !== 'update' || event.status.reason !== 'REASON_RECONCILIATION',
    ),
});

/** A word about offers that were gone is taken for the end of the task. */
export const straysEnd: Wrapping = deciding('updates', {
  hear: (events) =>
    events.map((event) => {
      if (event.kind !== 'update' || event.status.reason !== 'REASON_INVALID_OFFERS') return event;
      const status = { ...event.status, state: 'TASK_FAILED' as const };
      return { ...event, status };
    }),
});

/** Whatever is said of a task without a record is answered with KILL. */
export const killsStrangers: Wrapping = deciding('updates', {
  amend: (decision, state, events) => ({
    ...decision,
    effects: [
      ...decision.effects,
      ...events.flatMap((event): Effect[] => {
        if (event.kind !== 'update' || state.framework === undefined) return [];
        const taskId = event.status.task_id.value;
        if (state.workers.has(taskId)) return [];
        const { id, epoch } = state.framework.value;
        const task = { taskId, agentId: event.status.agent_id?.value };
        return [{ kind: 'kill', framework: { id, epoch }, tasks: [task] }];
      }),
    ],
  }),
});

/** Knows no request that it has served before. */
export const forgetful: Wrapping = only('demand', (definition) => ({
  ...definition,
  load: async (store, events, note) => ({
    ...(await definition.load(store, events, note)),
    requests: new Map(),
  }),
}));

/** Counts ids from the workers that are there, not from those that ever were. */
export const reusing: Wrapping = only('demand', (definition) => ({
  ...definition,
  load: async (store, events, note) => {
    const state = await definition.load(store, events, note);
    if (state.fleet === undefined) return state;
    const ids = await store.list(paths.workers);
    const counter = Math.max(0, ...ids.map((id) => workerNumber(id) ?? 0));
    return { ...state, fleet: { ...state.fleet, value: { ...state.fleet.value, counter } } };
  },
}));
