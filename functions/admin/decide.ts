import { z } from 'zod';
import { type CommandAnswer, type CommandName, commands } from '#proto/messages.ts';
import type {
  CommandRecord,
  FleetRecord,
  FrameworkRecord,
  ReconcileRecord,
  RecordPaths,
  WorkerRecord,
} from '#proto/records.ts';
import type { SpecRecord } from '#proto/spec.ts';
import type { Decision, Moment } from '#runtime/function.ts';
import { createOf, replaceOf, type Versioned } from '#runtime/store/ops.ts';
import type { StoreOp } from '#runtime/store/store.ts';
import type { Effect } from '../shared/effect.ts';
import type { Heard, HeardCommand } from '../shared/heard.ts';
import { counts, killEffects, stopped, workerChanged, workerWrites } from '../shared/worker.ts';

export interface AdminState {
  readonly paths: RecordPaths;
  readonly framework: Versioned<FrameworkRecord> | undefined;
  readonly spec: Versioned<SpecRecord> | undefined;
  /** What a release of a hold settles. */
  readonly reconcile: Versioned<ReconcileRecord> | undefined;
  readonly fleet: Versioned<FleetRecord> | undefined;
  /** Commands that were applied before, by id. */
  readonly applied: ReadonlyMap<string, CommandRecord>;
  readonly workers: ReadonlyMap<string, Versioned<WorkerRecord>>;
  /** Workers whose record cannot be read, and why. */
  readonly unread?: ReadonlyMap<string, string>;
  /** Applied commands that are old enough to be forgotten. */
  readonly outdated: readonly { readonly path: string; readonly version: number }[];
}

/** A command is kept this long after it was applied, so that a redelivery only answers again. */
export const commandKeptMs = 24 * 3600 * 1000;

/** What a command comes to. */
interface Applied {
  readonly answer: CommandAnswer;
  readonly writes: readonly StoreOp[];
  readonly effects: readonly Effect[];
}

type Teardown = z.infer<typeof commands.teardown>;

interface Ground {
  readonly state: AdminState;
  readonly framework: Versioned<FrameworkRecord>;
  readonly spec: Versioned<SpecRecord>;
  readonly moment: Moment;
}

/** Checks and applies commands; each is applied once, a repeat only answers. */
export function decide(
  state: AdminState,
  events: readonly Heard[],
  moment: Moment,
): Decision<Effect> {
  const { framework, spec } = state;
  const ground =
    framework === undefined || spec === undefined ? undefined : { state, framework, spec, moment };
  const command = events.find((event) => event.kind === 'command');
  if (command === undefined) return { writes: [], effects: [], reasons: [] };
  const done = state.applied.get(command.id);
  const result =
    done === undefined ? fresh(ground, command) : { ...refusal(''), answer: done.answer };
  const record: CommandRecord = {
    v: 1,
    op: moment.op,
    command: command.name,
    at: moment.now,
    answer: result.answer,
  };
  const rest = events.filter((event) => event.kind === 'command' && event !== command);
  return {
    writes:
      done === undefined && result.writes.length > 0
        ? [createOf(state.paths.command(command.id), record), ...result.writes, ...swept(state)]
        : [],
    effects: [
      ...result.effects,
      {
        kind: 'answer',
        command: command.name,
        answer: result.answer,
        ...(command.replyTo === undefined ? {} : { replyTo: command.replyTo }),
      },
      ...rest.map((event): Effect => ({ kind: 'again', event })),
    ],
    reasons: [{ about: `admin.${command.name}`, why: result.answer.message }],
  };
}

/** Reads the command's body. Also what `do.<command>` asks before it stores anything. */
export function parseCommand(
  name: string,
  body: string,
): { readonly name: CommandName; readonly value: unknown } | { readonly error: string } {
  if (!(name in commands)) {
    return { error: `no command "${name}": there are ${Object.keys(commands).join(', ')}` };
  }
  const known = name as CommandName;
  let json: unknown;
  try {
    json = body.trim() === '' ? {} : JSON.parse(body);
  } catch {
    return { error: `${name}: the body is not JSON: ${body.slice(0, 100)}` };
  }
  const parsed = commands[known].safeParse(json);
  if (parsed.success) return { name: known, value: parsed.data };
  const issues = z.prettifyError(parsed.error).replaceAll('\n', ' ');
  return { error: `${name}: ${issues}` };
}

function fresh(ground: Ground | undefined, command: HeardCommand): Applied {
  const parsed = parseCommand(command.name, command.body);
  if ('error' in parsed) return refusal(parsed.error);
  if (ground === undefined) {
    return refusal('no cluster is recorded yet: a gateway must have led once');
  }
  const life = ground.framework.value.state;
  if (life !== 'active') return refusal(`the cluster ends already (framework is ${life})`);
  switch (parsed.name) {
    case 'scale':
      return scale(ground, commands.scale.parse(parsed.value).workers);
    case 'stop':
      return stop(ground, commands.stop.parse(parsed.value).worker);
    case 'teardown':
      return teardown(ground, commands.teardown.parse(parsed.value));
    case 'release-hold':
      return releaseHold(ground);
  }
}

function scale({ spec, moment }: Ground, target: number): Applied {
  if (spec.value.configured.demand.mode === 'driver') {
    return refusal(
      'scale: Flink decides how many workers there are (drey.demand: driver); set slotmanager.number-of-slots.min and slotmanager.number-of-slots.max instead',
    );
  }
  const next: SpecRecord = {
    ...spec.value,
    op: moment.op,
    generation: spec.value.generation + 1,
    overrides: { ...spec.value.overrides, target },
  };
  return {
    answer: {
      ok: true,
      message: `the target is ${target} workers (generation ${next.generation})`,
    },
    writes: [replaceOf(spec, next)],
    effects: [
      {
        kind: 'changed',
        record: 'spec',
        id: 'spec',
        state: String(next.generation),
        op: moment.op,
      },
    ],
  };
}

function stop({ state, framework, spec, moment }: Ground, id: string): Applied {
  const read = state.workers.get(id);
  const unread = state.unread?.get(id);
  if (unread !== undefined) return refusal(`stop: ${unread}`);
  if (read === undefined) return refusal(`stop: there is no worker ${id}`);
  const worker = read.value;
  if (!counts(worker.state)) return refusal(`stop: ${id} is ${worker.state} already`);
  const { held } = framework.value;
  if (worker.state !== 'wanted' && held !== undefined) {
    return refusal(`stop: the cluster is held (${held.why}); release-hold first`);
  }
  const ground = { framework: framework.value, settings: spec.value.configured, moment };
  const { next, kills } = stopped(worker, 'stopped by an administrator', ground);
  const what = next.state === 'ended' ? 'is not launched any more' : 'is being stopped';
  return {
    answer: { ok: true, message: `${id} ${what}` },
    writes: workerWrites(read, next, state.paths),
    effects: [...killEffects(framework.value, kills), workerChanged(next)],
  };
}

function teardown({ framework, moment }: Ground, asked: Teardown): Applied {
  if (asked.framework !== undefined && asked.framework !== framework.value.id) {
    return refusal(`teardown: framework ${asked.framework} is not registered any more`);
  }
  const why = asked.why ?? 'torn down by an administrator';
  const result = { status: 'CANCELED' as const, why, at: moment.now };
  const next: FrameworkRecord = { ...framework.value, op: moment.op, state: 'ending', result };
  const { id, epoch } = next;
  return {
    answer: { ok: true, message: `framework ${id} is being torn down` },
    writes: [replaceOf(framework, next)],
    effects: [
      { kind: 'teardown', framework: { id, epoch } },
      { kind: 'changed', record: 'framework', id: 'framework', state: 'ending', op: moment.op },
    ],
  };
}

/** What set the hold must not set it again at once: this epoch's rounds are believed, and no id is given out twice. */
function releaseHold({ state, framework, moment }: Ground): Applied {
  const { held, ...rest } = framework.value;
  if (held === undefined) return refusal('release-hold: nothing is held');
  const next: FrameworkRecord = { ...rest, op: moment.op };
  const { reconcile, fleet } = state;
  const highest = held.highest ?? 0;
  return {
    answer: { ok: true, message: `released; it was held because ${held.why}` },
    writes: [
      replaceOf(framework, next),
      ...(reconcile === undefined
        ? []
        : [replaceOf(reconcile, { ...reconcile.value, op: moment.op, lost: 0, released: true })]),
      ...(fleet === undefined || highest <= fleet.value.counter
        ? []
        : [replaceOf(fleet, { ...fleet.value, op: moment.op, counter: highest })]),
    ],
    effects: [
      { kind: 'changed', record: 'framework', id: 'framework', state: next.state, op: moment.op },
    ],
  };
}

function swept(state: AdminState): StoreOp[] {
  return state.outdated.map(({ path, version }): StoreOp => ({ kind: 'remove', path, version }));
}

function refusal(message: string): Applied {
  return { answer: { ok: false, message }, writes: [], effects: [] };
}
