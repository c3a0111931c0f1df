import { commands, encodeJson } from '#proto/messages.ts';
import {
  commandRecord,
  fleetRecord,
  frameworkRecord,
  type RecordPaths,
  reconcileRecord,
  workerRecord,
} from '#proto/records.ts';
import { specRecord } from '#proto/spec.ts';
import { header } from '#proto/subjects.ts';
import type { BusMessage, Endpoint } from '#runtime/bus/bus.ts';
import type { UnreadableRecordError } from '#runtime/errors.ts';
import type { FunctionDefinition } from '#runtime/function.ts';
import { type NoteUnreadable, readReadable, readRecord } from '#runtime/store/records.ts';
import type { Store } from '#runtime/store/store.ts';
import type { FunctionContext } from '../shared/context.ts';
import { type Effect, showEffect } from '../shared/effect.ts';
import type { Heard } from '../shared/heard.ts';
import { hearsCommands } from '../shared/hears.ts';
import { labelOf } from '../shared/label.ts';
import { performer } from '../shared/perform.ts';
import { type AdminState, commandKeptMs, decide, parseCommand } from './decide.ts';

/** Applied commands looked at, oldest first, when a new one is applied. */
const sweptAtOnce = 20;

/** Checks and applies the commands of administrators, each once. */
export function adminFunction(
  context: FunctionContext,
): FunctionDefinition<AdminState, Heard, Effect> {
  const { subjects, paths, clock } = context;
  return {
    name: 'admin',
    description: 'checks and applies the commands of administrators',
    hears: [hearsCommands(subjects)],
    label: labelOf,
    show: showEffect,
    load: (store, events, note) => loadState(store, paths, events, clock.now(), note),
    decide,
    perform: performer(context),
    barrier: paths.framework,
    endpoints: Object.keys(commands).map((name) => doEndpoint(context, name)),
  };
}

/** `do.<command>`: stored in the admin stream with its reply subject; whoever applies it answers there. */
function doEndpoint({ bus, subjects }: FunctionContext, name: string): Endpoint {
  return {
    name: `do-${name}`,
    subject: subjects.do(name),
    handle: async (message: BusMessage) => {
      const parsed = parseCommand(name, new TextDecoder().decode(message.data));
      if ('error' in parsed) return encodeJson({ ok: false, message: parsed.error });
      const { reply } = message;
      const trace = message.headers[header.trace];
      const headers = {
        ...(reply === undefined ? {} : { [header.replyTo]: reply }),
        ...(trace === undefined ? {} : { [header.trace]: trace }),
      };
      await bus.append(subjects.admin(name), message.data, headers);
      return undefined;
    },
  };
}

async function loadState(
  store: Store,
  paths: RecordPaths,
  events: readonly Heard[],
  now: number,
  note: NoteUnreadable,
): Promise<AdminState> {
  const command = events.find((event) => event.kind === 'command');
  const target = command === undefined ? undefined : namedWorker(command.name, command.body);
  const unread = new Map<string, string>();
  const noted = (error: UnreadableRecordError): void => {
    if (target !== undefined) unread.set(target, error.message);
    note(error);
  };
  const [framework, spec, reconcile, fleet, applied, workers, old] = await Promise.all([
    readRecord(store, paths.framework, frameworkRecord),
    readRecord(store, paths.spec, specRecord),
    readRecord(store, paths.reconcile, reconcileRecord),
    readRecord(store, paths.fleet, fleetRecord),
    command === undefined ? undefined : readRecord(store, paths.command(command.id), commandRecord),
    readReadable(store, target === undefined ? [] : [paths.worker(target)], workerRecord, noted),
    store.list(paths.commands),
  ]);
  const records = await readReadable(
    store,
    old.slice(0, sweptAtOnce).map(paths.command),
    commandRecord,
    note,
  );
  return {
    paths,
    framework,
    spec,
    reconcile,
    fleet,
    applied: new Map(
      command === undefined || applied === undefined ? [] : [[command.id, applied.value]],
    ),
    workers: new Map(workers.map((read) => [read.value.id, read])),
    unread,
    outdated: records.filter(({ value }) => now - value.at > commandKeptMs),
  };
}

/** The worker that a `stop` names, where its body is right. */
function namedWorker(name: string, body: string): string | undefined {
  const parsed = parseCommand(name, body);
  if ('error' in parsed || parsed.name !== 'stop') return undefined;
  return commands.stop.parse(parsed.value).worker;
}
