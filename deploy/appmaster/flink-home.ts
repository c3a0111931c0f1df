import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ConfigurationError } from '#runtime/errors.ts';

const driverName = 'drey-flink-driver.jar';
const brought = resolve(import.meta.dirname, '../../.drey');

/**
 * The class path of the JobManager: Flink's jars in the order of its scripts (by name, flink-dist
 * last), and the driver, where it is to ask for workers. @throws ConfigurationError
 */
export function flinkJars(flinkHome: string, demand: 'driver' | 'fixed'): readonly string[] {
  const lib = join(flinkHome, 'lib');
  const names = jarsIn(lib);
  if (names.length === 0) {
    throw new ConfigurationError(
      'FLINK_HOME',
      `there are no jars in ${lib}; name a Flink 1.20 or 2.x, or run deploy/install/flink.sh`,
    );
  }
  const last = (name: string): number => (name.startsWith('flink-dist') ? 1 : 0);
  const sorted = names
    .filter((name) => name !== driverName)
    .sort((a, b) => last(a) - last(b) || (a < b ? -1 : 1));
  const jars = sorted.map((name) => join(lib, name));
  if (demand === 'fixed') return jars;
  // Behind all others, so that class archives hold whichever driver it is.
  return [...jars, names.includes(driverName) ? join(lib, driverName) : driverFor(lib, names)];
}

/** A distribution knows nothing of drey: the driver built for the same line of Flink is used. */
function driverFor(lib: string, names: readonly string[]): string {
  const line = names
    .map((name) => /^flink-(?:dist|runtime)-(\d+\.\d+)\.\d+\.jar$/.exec(name)?.[1])
    .find((found) => found !== undefined);
  const homes = existsSync(brought) ? readdirSync(brought) : [];
  const driver = homes
    .filter((name) => line !== undefined && name.startsWith(`flink-${line}.`))
    .map((name) => join(brought, name, 'lib', driverName))
    .find((path) => existsSync(path));
  if (driver !== undefined) return driver;
  throw new ConfigurationError(
    'FLINK_HOME',
    `there is no ${driverName} in ${lib} and none was built for Flink ${line ?? 'of this version'}; ` +
      'run deploy/install/flink.sh 2.3.0 (or 1.20.5) and copy it from there, or set drey.demand: fixed',
  );
}

function jarsIn(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.jar')) : [];
}
