import { join, resolve } from 'node:path';
import { environmentName } from '#runtime/config/configuration.ts';
import { patienceMs } from '#runtime/shutdown.ts';
import type { ClusterOptions } from './cluster.ts';
import type { Effective } from './effective.ts';
import type { Ended } from './ended.ts';
import { type Command, Part } from './part.ts';
import { type Rank, ranks } from './stack.ts';

const root = resolve(import.meta.dirname, '../..');
/** They give up by themselves before. */
const graceMs = patienceMs + 5000;

/** What the gateway says once it is up. */
export interface GatewayReady {
  /** As it stands in the framework's record while this gateway leads. */
  readonly name: string;
}

/**
 * Starts the gateway; one that cannot start at all ends everything, a later end only restarts it. `joins`
 * is asked at each start: whether the cluster was seen alive, and must not be begun anew once it has ended.
 */
export function startGateway(
  options: ClusterOptions,
  joins: () => boolean,
  onReady: (ready: GatewayReady) => void,
): void {
  const ready = (line: Readonly<Record<string, unknown>>): void => {
    onReady({ name: String(line.name ?? '') });
    options.say(`gateway ready, health and metrics on port ${line.http}`);
  };
  keep(options, 'gateway', ranks.gateway, () => gatewayCommand(options.effective, joins()), ready);
}

/** Starts one process with every function. */
export function startFunctions(options: ClusterOptions, n: number): void {
  const name = n === 1 ? 'functions' : `functions-${n}`;
  keep(
    options,
    name,
    ranks.functions,
    () => functionsCommand(options, n),
    (line) => options.say(`${name} ready, health and metrics on port ${line.http}`),
  );
}

function keep(
  options: ClusterOptions,
  name: string,
  rank: Rank,
  command: () => Command,
  onReady: (line: Readonly<Record<string, unknown>>) => void,
): void {
  const { stack, plan, say } = options;
  const log = join(plan.logDir, `${name}.log`);
  let wasReady = false;
  const part = new Part({
    name,
    log,
    say,
    command,
    onStart: (pid) => say(`${name} started, pid ${pid}`),
    onLine: (line) => {
      const parsed = readyLine(line);
      if (parsed === undefined) return;
      wasReady = true;
      onReady(parsed);
    },
    onEnd: (ended) => {
      // A gateway ends by itself only when its cluster has ended: the record is about to tell.
      if (wasReady) return ended.code === 0 ? 'quietly' : 'again';
      stack.finish({ code: 1, why: `${name} cannot start: ${reasonOf(ended)} (see ${log})` });
      return 'leave';
    },
  });
  stack.start(part, rank, graceMs);
}

/** The line by which a process says that it is up: `{"ready":true,…}`; log lines have none. */
function readyLine(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith('{') || !line.includes('"ready"')) return undefined;
  try {
    const parsed: unknown = JSON.parse(line);
    const isReady = typeof parsed === 'object' && parsed !== null && 'ready' in parsed;
    return isReady ? (parsed as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    // A log line that only looks like it.
    return undefined;
  }
}

/** What a process said last: its error where it crashed, the message of a log line, or the plain line. */
function reasonOf(ended: Ended): string {
  const crash = ended.lastLines.findLast((line) => /^\w*Error\b.*: /.test(line));
  const last = crash ?? ended.lastLines.at(-1);
  if (last === undefined) return ended.how;
  const message = /"msg":"((?:[^"\\]|\\.)*)"/.exec(last)?.[1];
  return message === undefined ? last : String(JSON.parse(`"${message}"`));
}

/** The gateway reads everything from the effective configuration: no value stands on its command line. */
function gatewayCommand(effective: Effective, joins: boolean): Command {
  return {
    file: process.execPath,
    args: [
      ...[join(root, 'gateway/main.ts'), '--conf-dir', effective.confDir],
      ...(joins ? ['--join'] : []),
    ],
    env: { ...process.env, FLINK_CONF_DIR: effective.confDir },
    cwd: root,
  };
}

/** Settings travel in the environment, which only its own user can read. */
function functionsCommand({ plan, effective }: ClusterOptions, n: number): Command {
  const settings = [...effective.settings]
    .filter(([key]) => key.startsWith('drey.') && !/^drey\.nats\.(gateway|driver)\./.test(key))
    .map(([key, value]) => [environmentName(key), Array.isArray(value) ? value.join(',') : value]);
  return {
    file: process.execPath,
    args: [join(root, 'functions/main.ts')],
    env: {
      ...process.env,
      ...Object.fromEntries(settings),
      ...portOf(effective, n),
      FLINK_HOME: plan.flinkHome,
    },
    cwd: root,
  };
}

/** The nth process takes the nth port from the configured one on; 0 is any free one for each. */
function portOf({ configuration }: Effective, n: number): Readonly<Record<string, string>> {
  const key = 'drey.functions.http.port';
  const first = configuration.port(key) ?? 0;
  return first === 0 ? {} : { [environmentName(key)]: String(first + n - 1) };
}
