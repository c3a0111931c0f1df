/** A flag is missing or wrong; the message names it. */
export class UsageError extends Error {}

type Values = Readonly<Record<string, string | boolean | undefined>>;

/** A flag that is a number, not negative. */
export function numberFlag(values: Values, name: string, otherwise: number): number {
  const text = values[name];
  if (text === undefined) return otherwise;
  const number = Number(text);
  if (typeof text === 'string' && text !== '' && Number.isFinite(number) && number >= 0)
    return number;
  throw new UsageError(`--${name} must be a number of 0 or more, not '${text}'`);
}

/** A flag that is a text. */
export function textFlag(values: Values, name: string, otherwise: string): string {
  const text = values[name];
  return typeof text === 'string' ? text : otherwise;
}

/** One line of JSON for whoever started this process. */
export function announce(facts: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify({ ready: true, ...facts })}\n`);
}

/** What is said when stopping itself fails; the process then exits with 1. */
export function stopFailed(error: unknown): void {
  process.stderr.write(`local mesos: could not stop cleanly: ${String(error)}\n`);
}
