import {
  agentRecord,
  frameworkRecord,
  launchesRecord,
  type RecordPaths,
  workerRecord,
} from '#proto/records.ts';
import { specRecord } from '#proto/spec.ts';
import type { FunctionDefinition } from '#runtime/function.ts';
import { type NoteUnreadable, readReadable, readRecord } from '#runtime/store/records.ts';
import type { Store } from '#runtime/store/store.ts';
import type { FunctionContext } from '../shared/context.ts';
import { type Effect, showEffect } from '../shared/effect.ts';
import type { Heard } from '../shared/heard.ts';
import { hearsChanged, hearsLapsed, hearsTick } from '../shared/hears.ts';
import { labelOf } from '../shared/label.ts';
import { performer } from '../shared/perform.ts';
import { inTurn } from '../shared/turn.ts';
import { decide, type FailuresState } from './decide.ts';

/** Deadlines handled by one decision; the next tick takes the next ones, in turn. */
const dueAtOnce = 100;
/** `due/<13 digits>-<worker>`. */
const timeDigits = 13;
/** An offer that lapses was lent 5 to 6 s ago, and whoever counts on it was placed since. */
const lapsedWithinMs = 10_000;

/** Deadlines, back-off, penalties of agents, and forgetting. */
export function failuresFunction(
  context: FunctionContext,
): FunctionDefinition<FailuresState, Heard, Effect> {
  const { subjects, paths, clock } = context;
  return {
    name: 'failures',
    description: 'acts on deadlines and failed launches',
    hears: [hearsChanged(subjects, 'worker'), hearsLapsed(subjects), hearsTick(subjects)],
    label: labelOf,
    show: showEffect,
    load: (store, events, note) => loadState(store, paths, events, clock.now(), note),
    decide,
    perform: performer(context),
    barrier: paths.framework,
  };
}

async function loadState(
  store: Store,
  paths: RecordPaths,
  events: readonly Heard[],
  now: number,
  note: NoteUnreadable,
): Promise<FailuresState> {
  const told = events.flatMap((event) =>
    event.kind === 'changed' && event.state === 'ended' ? [event.id] : [],
  );
  const ticked = events.some((event) => event.kind === 'tick');
  const lapsed = events.some((event) => event.kind === 'lapsed');
  const [framework, spec, launches, due] = await Promise.all([
    readRecord(store, paths.framework, frameworkRecord),
    readRecord(store, paths.spec, specRecord),
    readRecord(store, paths.launches, launchesRecord),
    ticked || lapsed ? store.list(paths.due) : Promise.resolve([]),
  ]);
  const passed = due.filter((name) => timeOf(name) <= now);
  const past = inTurn(passed, dueAtOnce, now);
  const timeoutMs = spec?.value.configured.failures.launchTimeoutMs ?? 0;
  const justLaunched = (name: string) => {
    const agoMs = now + timeoutMs - timeOf(name);
    return agoMs >= 0 && agoMs <= lapsedWithinMs;
  };
  const placed = lapsed ? due.filter(justLaunched).slice(0, dueAtOnce) : [];
  const named = [...past, ...placed].map((name) => name.slice(timeDigits + 1));
  const ids = [...new Set([...told, ...named])];
  const workers = await readReadable(store, ids.map(paths.worker), workerRecord, note);
  const agentIds = new Set(
    workers.flatMap(({ value }) =>
      value.state === 'ended' && value.agentId !== undefined ? [value.agentId] : [],
    ),
  );
  const unread = new Set<string>();
  const agentPaths = [...agentIds].map(paths.agent);
  const agents = await readReadable(store, agentPaths, agentRecord, (error) => {
    unread.add(error.path);
    note(error);
  });
  const agentAt = new Map(agents.map((read) => [read.path, read]));
  return {
    paths,
    framework,
    spec,
    launches,
    agents: new Map(
      [...agentIds].flatMap((id) => {
        const read = agentAt.get(paths.agent(id));
        return read === undefined ? [] : [[id, read]];
      }),
    ),
    // A failure counts for its agent: it waits until that record can be read.
    workers: workers.filter(
      ({ value }) => value.state !== 'ended' || !unread.has(paths.agent(value.agentId ?? '')),
    ),
  };
}

/** When an entry of `due` is due. */
function timeOf(name: string): number {
  return Number(name.slice(0, timeDigits));
}
