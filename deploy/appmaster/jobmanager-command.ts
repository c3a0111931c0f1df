import { existsSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Configuration } from '#runtime/config/configuration.ts';
import { classArchiveFlags } from './class-archive.ts';
import type { Effective } from './effective.ts';
import { flinkJars } from './flink-home.ts';
import { type Java, moduleFlags } from './java.ts';
import { jobManagerMemory, memoryFlags, memorySettings } from './memory.ts';
import type { Command } from './part.ts';
import type { Plan } from './plan.ts';

/** Flink's entry points: with the driver it asks for workers, else it takes those that come. */
const entryPoints = {
  driver: 'io.drey.flink.DreySessionEntrypoint',
  fixed: 'org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint',
} as const;

/** The JobManager's log, under the name that the old script gave it, without its ending. */
export function jobManagerLog(plan: Plan, environment: NodeJS.ProcessEnv): string {
  const ident = environment.FLINK_IDENT_STRING || userInfo().username;
  const host = environment.HOSTNAME || hostname();
  return join(plan.logDir, `flink-${ident}-mesos-appmaster-${host}`);
}

/** The command line of the JobManager, as Flink's own scripts would put it together. @throws ConfigurationError */
export function jobManagerCommand(inputs: {
  readonly plan: Plan;
  readonly configuration: Configuration;
  readonly java: Java;
  readonly effective: Effective;
}): Command {
  const { plan, configuration, java, effective } = inputs;
  const memory = jobManagerMemory(configuration);
  const log = jobManagerLog(plan, process.env);
  const { jobManagerConfDir: confDir } = effective;
  const args = [
    '-XX:+IgnoreUnrecognizedVMOptions',
    ...classArchiveFlags(plan.flinkHome, java.path),
    ...memoryFlags(memory),
    ...moduleFlags(java),
    ...splitFlags(process.env.JVM_ARGS ?? ''),
    ...javaOptions(configuration),
    `-Djava.io.tmpdir=${join(plan.stateDir, 'tmp')}`,
    `-Dlog.file=${log}.log`,
    `-Dlog4j.configurationFile=file:${join(confDir, 'log4j.properties')}`,
    '-classpath',
    classPath(plan, process.env),
    entryPoints[plan.demand],
    '--configDir',
    confDir,
    ...[...memorySettings(memory)].map(([key, value]) => `-D${key}=${value}`),
  ];
  return {
    file: java.path,
    args,
    env: environmentOf(plan, configuration, confDir),
    cwd: plan.stateDir,
  };
}

function classPath(plan: Plan, environment: NodeJS.ProcessEnv): string {
  const { HADOOP_CLASSPATH, HADOOP_CONF_DIR, YARN_CONF_DIR, HBASE_CONF_DIR } = environment;
  const more = [HADOOP_CLASSPATH, HADOOP_CONF_DIR, YARN_CONF_DIR, HBASE_CONF_DIR];
  return [...flinkJars(plan.flinkHome, plan.demand), ...more.filter((entry) => entry)].join(
    delimiter,
  );
}

/** `env.java.opts.*`, the general ones first, each after its default. */
function javaOptions(configuration: Configuration): readonly string[] {
  const all = configuration.firstOf('env.java.opts.all', 'env.java.opts')?.value ?? '';
  const parts = [
    configuration.string('env.java.default-opts.all') ?? '',
    all,
    configuration.string('env.java.default-opts.jobmanager') ?? '',
    configuration.string('env.java.opts.jobmanager') ?? '',
  ];
  return parts.flatMap(splitFlags);
}

/** Splits flags at blanks; quotes hold a flag with a blank together. */
export function splitFlags(text: string): readonly string[] {
  const words = text.match(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g) ?? [];
  return words.map((word) =>
    word.replace(/"([^"]*)"|'([^']*)'/g, (_, double, single) => double ?? single ?? ''),
  );
}

/** As it was given, without keys of drey: they hold secrets of others, and user code reads all of it. */
function environmentOf(
  plan: Plan,
  configuration: Configuration,
  confDir: string,
): NodeJS.ProcessEnv {
  const plugins = process.env.FLINK_PLUGINS_DIR || join(plan.flinkHome, 'plugins');
  const given = Object.entries(process.env).filter(([name]) => !name.startsWith('DREY_'));
  return {
    ...Object.fromEntries(given),
    MALLOC_ARENA_MAX: process.env.MALLOC_ARENA_MAX ?? '2',
    FLINK_HOME: plan.flinkHome,
    FLINK_CONF_DIR: confDir,
    FLINK_LIB_DIR: join(plan.flinkHome, 'lib'),
    ...(existsSync(plugins) ? { FLINK_PLUGINS_DIR: plugins } : {}),
    ...Object.fromEntries(configuration.below('containerized.master.env.')),
  };
}
