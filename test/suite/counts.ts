import type { Ended } from './command.ts';

/** What a run came to; `failures` are titles. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly failures: readonly string[];
}

export const none: Counts = { passed: 0, failed: 0, failures: [] };

export function add(a: Counts, b: Counts): Counts {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    failures: [...a.failures, ...b.failures],
  };
}

/** Counts one test file from its TAP report; a file that ended without a report, or with an exit code of its own, has failed. */
export function countsOf(file: string, report: string, ended: Ended, limitMs: number): Counts {
  const number = (name: string): number => {
    const match = new RegExp(`^# ${name} (\\d+)$`, 'm').exec(report);
    return match ? Number(match[1]) : 0;
  };
  const failures = [...report.matchAll(/^(?: {4})*not ok \d+ - (.*)$/gm)].map(
    ([, title]) => `${file}: ${title}`,
  );
  // Skipped and unfinished tests are no passes: the house has none of either.
  const failed = ['fail', 'cancelled', 'skipped', 'todo'].reduce((sum, n) => sum + number(n), 0);
  if (ended.timedOut) {
    const why = `${file}: was ended after ${limitMs / 60_000} minutes`;
    return { passed: passesOf(report), failed: failed + 1, failures: [...failures, why] };
  }
  if (ended.code !== 0 && failed === 0) {
    const why = `${file}: ended with ${ended.code ?? 'a signal'} without a failed test`;
    return { passed: number('pass'), failed: 1, failures: [why] };
  }
  if (number('tests') === 0) {
    return { passed: 0, failed: failed + 1, failures: [`${file}: holds no test that ran`] };
  }
  return { passed: number('pass'), failed, failures };
}

/** Passes of a report that was cut off before its closing lines. */
function passesOf(report: string): number {
  return [...report.matchAll(/^ok \d+ - /gm)].length;
}
