import { readConfiguration } from '#runtime/config/read.ts';
import { DreyError } from '#runtime/errors.ts';
import { Cluster } from './cluster.ts';
import { writeEffective } from './effective.ts';
import { flinkJars } from './flink-home.ts';
import { lockFolder, makeFolders } from './folders.ts';
import { findJava } from './java.ts';
import { jobManagerMemory } from './memory.ts';
import { advertisedAddress } from './network.ts';
import { startOwnServers } from './own.ts';
import { endsWithUs } from './part.ts';
import { type Place, type Plan, placeOf, planOf } from './plan.ts';
import { choosePorts } from './ports.ts';
import { type Outcome, Stack } from './stack.ts';

const signals = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129 } as const;

/** Runs the appmaster of one machine until the cluster or somebody ends it; resolves to the exit code. */
export async function supervise(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<number> {
  const stack = new Stack();
  for (const [signal, code] of Object.entries(signals)) {
    // Not once: an impatient second Ctrl-C must not leave processes behind.
    process.on(signal, () => {
      stack.finish({ code, why: `stopping on ${signal}; the framework stays registered` });
    });
  }
  run(stack, args, environment).catch((error: unknown) => stack.finish(failure(error)));
  const outcome = await stack.ended;
  const failed = outcome.code === 1 || outcome.code === 2;
  if (!failed) say(outcome.why);
  else if (!stack.isEmpty) say('cannot go on, stopping what was started');
  await stack.stop();
  // The reason of a failure stands last, where people look for it.
  if (failed) process.stderr.write(`mesos-appmaster: ${outcome.why}\n`);
  return outcome.code;
}

async function run(
  stack: Stack,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<void> {
  const place: Place = placeOf(environment);
  const configuration = readConfiguration({
    confDir: place.confDir,
    arguments: args,
    environment,
  });
  for (const warning of configuration.warnings) say(warning);
  const plan: Plan = planOf(configuration, place);
  const java = findJava(configuration, environment);
  flinkJars(plan.flinkHome, plan.demand);
  jobManagerMemory(configuration);
  makeFolders(plan);
  await lockFolder(plan.stateDir);
  say(`cluster ${plan.cluster}, Flink in ${plan.flinkHome}, Java ${java.version}`);
  say(`state in ${plan.stateDir}, logs in ${plan.logDir}`);
  if (!endsWithUs) {
    say(
      'there is no setpriv (util-linux) here: if this process is killed, what it started runs on',
    );
  }
  const advertised = await advertisedAddress(masterHost(plan.master));
  const ports = await choosePorts(plan, configuration, advertised);
  const servers = await startOwnServers(stack, plan, java, say);
  const effective = writeEffective(plan, configuration, { ...servers, advertised, ports });
  const cluster = new Cluster({ stack, plan, configuration, java, effective, say });
  await cluster.start();
}

/** The first host of `host:port`, `http://host:port`, `zk://user:pass@host:port,…/path`; none for a file. */
function masterHost(master: string): string | undefined {
  if (master.startsWith('file:') || master.startsWith('/')) return undefined;
  const hosts = master.replace(/^[a-z]+:\/\//, '').replace(/^[^@/]*@/, '');
  return /^\[?([^\],/]*?)\]?(?::\d+)?(?:[,/].*)?$/.exec(hosts)?.[1];
}

function failure(error: unknown): Outcome {
  if (error instanceof DreyError) return { code: 1, why: error.message };
  const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 1, why: `failed: ${why}` };
}

function say(line: string): void {
  process.stdout.write(`mesos-appmaster: ${line}\n`);
}
