import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Area, areasOf, concurrencyOf } from './areas.ts';
import { endCommands, runCommand } from './command.ts';
import { add, type Counts, countsOf, none } from './counts.ts';

const root = resolve(import.meta.dirname, '../..');
process.chdir(root);

const installTimeoutMs = 20 * 60_000;
const checks = ['types', 'lint', 'imports', 'unused'] as const;

const named = process.argv.slice(2);
const full = named.length > 0;
/** A hung test file is ended after this long and counted as failed; a full form may take its time. */
const fileTimeoutMs = minutes(process.env.DREY_FILE_TIMEOUT_MINUTES, full ? 30 : 8);
const scratch = mkdtempSync(join(tmpdir(), 'drey-suite-'));
const env: NodeJS.ProcessEnv = {
  ...process.env,
  PATH: `${root}/node_modules/.bin:${process.env.PATH ?? ''}`,
  ...(full ? { DREY_FULL: '1' } : {}),
};

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    endCommands();
    rmSync(scratch, { recursive: true, force: true });
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });
}

process.exitCode = await main();
rmSync(scratch, { recursive: true, force: true });

async function main(): Promise<number> {
  const started = performance.now();
  const known = areasOf(join(root, 'test'));
  const unknown = named.filter((name) => !known.some((area) => area.name === name));
  if (unknown.length > 0) {
    const names = known.map((area) => area.name).join(', ');
    say(`unknown area ${unknown.join(', ')}; there are: ${names}`);
    say('0 passed, 1 failed');
    return 1;
  }
  const chosen = full ? known.filter((area) => named.includes(area.name)) : known;
  let total = await install();
  if (!full) total = add(total, await check());
  for (const area of chosen) total = add(total, await runArea(area));
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  for (const title of total.failures) say(`failed: ${title}`);
  say(`all took ${seconds} s`);
  say(`${total.passed} passed, ${total.failed} failed`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
}

/** Brings the servers and Flink; areas that need none of them run even when this fails. */
async function install(): Promise<Counts> {
  say('== install');
  const ended = await runCommand('deploy/install/all', [], {
    timeoutMs: installTimeoutMs,
    env,
    live: true,
  });
  say(`== install took ${ended.seconds.toFixed(1)} s`);
  if (ended.code === 0) return none;
  const why = ended.timedOut ? 'was ended after its time' : `ended with ${ended.code}`;
  return { passed: 0, failed: 1, failures: [`install: deploy/install/all ${why}`] };
}

/** Types, lint, import rules and unused code: each counts as one. */
async function check(): Promise<Counts> {
  let total = none;
  for (const name of checks) {
    const options = { timeoutMs: fileTimeoutMs, env, live: false };
    const ended = await runCommand('npm', ['run', '--silent', name], options);
    const ok = ended.code === 0;
    say(`${ok ? 'ok    ' : 'FAILED'} check ${name} (${ended.seconds.toFixed(1)} s)`);
    if (!ok) say(ended.output);
    const failures = ok ? [] : [`check: npm run ${name}`];
    total = add(total, { passed: ok ? 1 : 0, failed: ok ? 0 : 1, failures });
  }
  return total;
}

async function runArea(area: Area): Promise<Counts> {
  const started = performance.now();
  say(`== ${area.name} (${area.files.length} files${full ? ', in full' : ''})`);
  let total = none;
  const waiting = [...area.files];
  const lanes = Array.from({ length: concurrencyOf(area) }, async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      // The total is read after the wait: two lanes must not overwrite each other's counts.
      const counts = await runFile(area, file);
      total = add(total, counts);
    }
  });
  await Promise.all(lanes);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  say(`== ${area.name}: ${total.passed} passed, ${total.failed} failed, ${seconds} s`);
  return total;
}

/** One test file in a process of its own: shown by the spec reporter, counted from a TAP file beside it. */
async function runFile(area: Area, file: string): Promise<Counts> {
  const live = concurrencyOf(area) === 1;
  const tap = join(scratch, `${file.slice(root.length + 1).replaceAll('/', '_')}.tap`);
  if (live) say(`-- ${file.slice(root.length + 1)}`);
  const args = [
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=tap',
    `--test-reporter-destination=${tap}`,
    file,
  ];
  const options = { timeoutMs: fileTimeoutMs, env, live };
  const ended = await runCommand(`${root}/node_modules/.bin/node`, args, options);
  const report = existsSync(tap) ? readFileSync(tap, 'utf8') : '';
  const counts = countsOf(file.slice(root.length + 1), report, ended, fileTimeoutMs);
  if (!live) {
    const name = file.slice(root.length + 1);
    const verdict = counts.failed === 0 ? 'ok    ' : 'FAILED';
    say(`${verdict} ${name}: ${counts.passed} passed (${ended.seconds.toFixed(1)} s)`);
    if (counts.failed > 0) say(ended.output);
  }
  return counts;
}

function minutes(text: string | undefined, otherwise: number): number {
  const value = Number(text ?? otherwise);
  if (!(value > 0)) throw new RangeError('DREY_FILE_TIMEOUT_MINUTES must be a positive number');
  return value * 60_000;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
