import { z } from 'zod';
import {
  decisionMessage,
  encodeJson,
  type SetAsideMessage,
  setAsideMessage,
} from '#proto/messages.ts';
import {
  agentRecord,
  driverRecord,
  fleetRecord,
  frameworkRecord,
  launchesRecord,
  reconcileRecord,
  workerRecord,
} from '#proto/records.ts';
import { type ClusterSettings, specRecord } from '#proto/spec.ts';
import type { BusMessage, Endpoint } from '#runtime/bus/bus.ts';
import { BadMessageError, type UnreadableRecordError } from '#runtime/errors.ts';
import type { FunctionDefinition } from '#runtime/function.ts';
import { hidden } from '#runtime/secrets.ts';
import { readReadable, readRecord } from '#runtime/store/records.ts';
import type { Store } from '#runtime/store/store.ts';
import type { FunctionContext } from '../shared/context.ts';
import { type Effect, showEffect } from '../shared/effect.ts';
import type { Heard } from '../shared/heard.ts';
import { labelOf } from '../shared/label.ts';
import { followTicks, jsonOf } from '../shared/ticks.ts';
import {
  explainAgent,
  explainWorker,
  lastDecisions,
  type Picture,
  type Remembered,
  reasonsShown,
  rememberedFrom,
  status,
  workersOf,
} from './decide.ts';
import { type Followed, follow } from './log.ts';

/** Lines of the decision log that are read at start, and reasons that are kept. */
const linesRead = 2000;
const reasonsKept = 20_000;
const asideKept = 1000;

const explainMessage = z.union([
  z.strictObject({ worker: z.string().min(1) }),
  z.strictObject({ agent: z.string().min(1) }),
  z.strictObject({}),
]);

/** Answers questions from the records and the decision log; changes nothing. */
export function explainFunction(
  context: FunctionContext,
): FunctionDefinition<undefined, Heard, Effect> {
  const { subjects, paths } = context;
  const log = decisionLog(context);
  const aside = setAsideLog(context);
  const tick = lastTick(context);
  const look = async (): Promise<Picture> => {
    const [seen, setAside] = await Promise.all([picture(context), aside.known()]);
    return { ...seen, tick: tick(), setAside };
  };
  const answer = (
    question: string,
    about: (message: BusMessage) => Promise<unknown>,
  ): Endpoint => ({
    name: `ask-${question}`,
    subject: subjects.ask(question),
    handle: async (message) => encodeJson(await about(message)),
  });
  return {
    name: 'explain',
    description: 'answers questions from the records and the decision log',
    hears: [],
    label: labelOf,
    show: showEffect,
    load: async () => undefined,
    decide: () => ({ writes: [], effects: [], reasons: [] }),
    perform: async () => [],
    barrier: paths.framework,
    endpoints: [
      answer('status', async () => status(await look())),
      answer('workers', async () => workersOf(await look())),
      answer('config', async () => configured(context)),
      answer('explain', async (message) => explained(context, await look(), log, message)),
    ],
  };
}

async function explained(
  context: FunctionContext,
  seen: Picture,
  log: Followed<Remembered>,
  message: BusMessage,
): Promise<unknown> {
  const question = parse(message);
  const remembered = await log.all();
  if ('worker' in question) {
    const { worker } = question;
    return explainWorker(seen, worker, remembered);
  }
  if (!('agent' in question)) return lastDecisions(seen, remembered.slice(-reasonsShown));
  const { agent } = question;
  const read = await readRecord(context.store, context.paths.agent(agent), agentRecord);
  return explainAgent(read?.value, agent, seen, shown(remembered, agent));
}

function shown(remembered: readonly Remembered[], id: string): Remembered[] {
  return remembered.filter((one) => one.about === id || one.why.includes(id)).slice(-reasonsShown);
}

function parse(message: BusMessage): z.infer<typeof explainMessage> {
  const wanted = 'ask.explain wants {"worker":"taskmanager-00001"}, {"agent":"<agent id>"} or {}';
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(message.data) || '{}');
  } catch (error) {
    throw new BadMessageError(`not JSON; ${wanted}`, { cause: error });
  }
  const parsed = explainMessage.safeParse(json);
  if (!parsed.success) throw new BadMessageError(wanted);
  return parsed.data;
}

async function configured({ store, paths }: FunctionContext): Promise<unknown> {
  const spec = await readRecord(store, paths.spec, specRecord);
  if (spec === undefined) return { sentence: 'no gateway has led this cluster yet' };
  const { generation, configured: settings, overrides } = spec.value;
  const task = withoutSecrets(settings.task);
  const shown = { ...settings, task };
  return { sentence: `generation ${generation}`, generation, configured: shown, overrides };
}

/** Values of the environment may be passwords, and the artifact token opens the configuration. */
function withoutSecrets(task: ClusterSettings['task']): ClusterSettings['task'] {
  const names = Object.keys(task.environment).map((name) => [name, hidden]);
  const uris = task.uris.map((uri) => ({
    ...uri,
    value: uri.value.replace(tokenInUrl, `$1${hidden}/`),
  }));
  return { ...task, environment: Object.fromEntries(names), uris };
}

/** `scheme://host:port/<token>/…` */
const tokenInUrl = /^(https?:\/\/[^/]+\/)[^/]+\//;

async function picture({
  store,
  paths,
  clock,
}: FunctionContext): Promise<Omit<Picture, 'tick' | 'setAside'>> {
  const [framework, spec, driver, launches, fleet, reconcile, ids, agentIds] = await Promise.all([
    readable(store, paths.framework, frameworkRecord),
    readable(store, paths.spec, specRecord),
    readable(store, paths.driver, driverRecord),
    readable(store, paths.launches, launchesRecord),
    readable(store, paths.fleet, fleetRecord),
    readable(store, paths.reconcile, reconcileRecord),
    store.list(paths.workers),
    store.list(paths.agents),
  ]);
  const single = [framework, spec, driver, launches, fleet, reconcile];
  const unread = single.flatMap((one) => one.why ?? []);
  const noted = ({ message }: UnreadableRecordError): void => void unread.push(message);
  const workers = await readReadable(store, ids.map(paths.worker), workerRecord, noted);
  // Only to tell which cannot be read, as of the fleet and of reconciliation.
  const agents = agentIds.map((name) => `${paths.agents}/${name}`);
  await readReadable(store, agents, agentRecord, noted);
  return {
    now: clock.now(),
    framework: framework.value,
    spec: spec.value,
    driver: driver.value,
    launches: launches.value,
    workers: workers.map((read) => read.value),
    unread,
  };
}

/** One record, or why it cannot be read: people are to see the rest all the same. */
async function readable<T>(
  store: Store,
  path: string,
  schema: z.ZodType<T>,
): Promise<{ readonly value: T | undefined; readonly why?: string }> {
  const unread: string[] = [];
  const noted = ({ message }: UnreadableRecordError): void => void unread.push(message);
  const [read] = await readReadable(store, [path], schema, noted);
  return { value: read?.value, ...(unread[0] === undefined ? {} : { why: unread[0] }) };
}

/** The last tick, heard by every copy: no queue group. */
function lastTick({ bus, subjects, clock }: FunctionContext): () => Picture['tick'] {
  // Just started: it has had no time to hear one.
  let last: Picture['tick'] = { at: clock.now(), subscribed: true };
  followTicks(bus, subjects, ({ subscribed }) => {
    last = { at: clock.now(), subscribed };
  });
  return () => last;
}

/** The last reasons of every function. */
function decisionLog(context: FunctionContext): Followed<Remembered> {
  return follow(context, {
    filter: context.subjects.everyDecision,
    back: linesRead,
    kept: reasonsKept,
    read: (message) => {
      const parsed = decisionMessage.safeParse(jsonOf(message));
      return parsed.success ? rememberedFrom(parsed.data) : [];
    },
  });
}

/** All that was set aside and is still kept: there is at most one line a second of it. */
function setAsideLog(context: FunctionContext): Followed<SetAsideMessage> {
  return follow(context, {
    filter: context.subjects.everySetAside,
    back: Number.MAX_SAFE_INTEGER,
    kept: asideKept,
    read: (message) => {
      const parsed = setAsideMessage.safeParse(jsonOf(message));
      return parsed.success ? [parsed.data] : [];
    },
  });
}
