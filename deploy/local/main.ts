import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DreyError } from '#runtime/errors.ts';
import { sleep, stopAll } from './background.ts';
import { demo, sayWhere } from './demo.ts';
import { FlinkRest } from './flink.ts';
import { partNames, pidOf, readFacts, root, runFolder } from './run-folder.ts';
import { flinkHomeOf, refuseOthers, startStack } from './start.ts';

const versions = ['2.3.0', '1.20.5'];
const endLimitMs = 30_000;
const startedMs = Number(process.env.DREY_STARTED_MS ?? Date.now());

/** `up`, `down`, `status`, `demo`: the stack of one machine. */
async function main(command: string | undefined, args: string[]): Promise<number> {
  switch (command) {
    case 'up': {
      const { flink } = options(args, false);
      refuseOthers();
      await install(flink);
      const stack = await startStack(flinkHomeOf(flink), say).catch(async (error: unknown) => {
        await stopAll(say);
        throw error;
      });
      sayWhere(stack.facts, say);
      return 0;
    }
    case 'demo': {
      const { flink, keep } = options(args, true);
      refuseOthers();
      await install(flink);
      const setupSeconds = Math.round((Date.now() - startedMs) / 100) / 10;
      const json = await demo({ version: flink, keep, setupSeconds, say });
      process.stdout.write(`${json}\n`);
      return 0;
    }
    case 'down':
      return down();
    case 'status':
      return status();
    default:
      throw new Error('usage: up | down | status | demo');
  }
}

function options(
  args: string[],
  demo: boolean,
): { readonly flink: string; readonly keep: boolean } {
  const { values } = parseArgs({
    args,
    options: { flink: { type: 'string', default: '2.3.0' }, keep: { type: 'boolean' } },
  });
  if (values.keep === true && !demo) throw new Error('--keep belongs to demo; up always keeps');
  if (!versions.includes(values.flink)) {
    throw new Error(`--flink ${values.flink} is not known; there are ${versions.join(' and ')}`);
  }
  return { flink: values.flink, keep: values.keep === true };
}

/** Brings what is missing; says nothing new when all is there. */
function install(version: string): Promise<void> {
  say(`installing what is missing (Flink ${version})`);
  return new Promise((resolve, reject) => {
    const child = spawn(join(root, 'deploy/install/all'), [version], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error('the installation failed (above are its words)'));
    });
  });
}

/** Ends the cluster in order where Flink still answers, then every process. */
async function down(): Promise<number> {
  const facts = readFacts();
  if (facts !== undefined && pidOf('appmaster') !== undefined) {
    try {
      await new FlinkRest(facts.rest).shutDown();
      const deadline = Date.now() + endLimitMs;
      while (pidOf('appmaster') !== undefined && Date.now() < deadline) await sleep(100);
    } catch (error) {
      say(`Flink does not answer (${sentence(error)}); stopping the processes`);
    }
  }
  await stopAll(say);
  say('nothing of the stack runs');
  return 0;
}

/** 0 when every part runs. */
function status(): number {
  const facts = readFacts();
  let missing = 0;
  for (const name of partNames) {
    const pid = pidOf(name);
    if (pid === undefined) missing++;
    say(`${name.padEnd(14)} ${pid === undefined ? 'not running' : `pid ${pid}`}`);
  }
  if (facts !== undefined && missing < partNames.length) sayWhere(facts, say);
  if (missing > 0) say(`start it with deploy/local/up (data in ${runFolder})`);
  return missing === 0 ? 0 : 1;
}

function say(line: string): void {
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1).padStart(6);
  process.stdout.write(`${seconds} s  ${line}\n`);
}

function sentence(error: unknown): string {
  if (error instanceof DreyError) return error.message;
  return error instanceof Error ? error.message : String(error);
}

/** The exit code of the signal that ends this command. */
let interrupted: number | undefined;

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  // Not once: an impatient second Ctrl-C must not leave the stack running.
  process.on(signal, () => {
    if (interrupted !== undefined) return;
    interrupted = code;
    say(`stopping on ${signal}`);
    void stopAll(say).then(() => process.exit(code));
  });
}
// A terminal that is gone takes no more lines; what runs is to be stopped all the same.
process.stdout.on('error', () => {});

let exitCode: number;
try {
  exitCode = await main(process.argv[2], process.argv.slice(3));
} catch (error) {
  if (interrupted === undefined) process.stderr.write(`${sentence(error)}\n`);
  exitCode = 1;
}
if (interrupted !== undefined) await stopAll(say);
process.exit(interrupted ?? exitCode);
