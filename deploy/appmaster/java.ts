import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Configuration } from '#runtime/config/configuration.ts';
import { ConfigurationError } from '#runtime/errors.ts';

/** A Java that runs here. */
export interface Java {
  readonly path: string;
  /** 8, 11, 17 … */
  readonly version: number;
}

/** The packages that Flink reaches into by reflection; Java 17 keeps them shut without these flags. */
const exported = [
  'java.base/sun.net.util',
  'java.rmi/sun.rmi.registry',
  'jdk.compiler/com.sun.tools.javac.api',
  'jdk.compiler/com.sun.tools.javac.file',
  'jdk.compiler/com.sun.tools.javac.parser',
  'jdk.compiler/com.sun.tools.javac.tree',
  'jdk.compiler/com.sun.tools.javac.util',
  'java.security.jgss/sun.security.krb5',
];
const opened = [
  'java.base/java.lang',
  'java.base/java.net',
  'java.base/java.io',
  'java.base/java.nio',
  'java.base/sun.nio.ch',
  'java.base/java.lang.reflect',
  'java.base/java.text',
  'java.base/java.time',
  'java.base/java.util',
  'java.base/java.util.concurrent',
  'java.base/java.util.concurrent.atomic',
  'java.base/java.util.concurrent.locks',
];

/** The flags by which Flink runs on Java 17; an older Java knows nothing of modules and gets none. */
export function moduleFlags(java: Java): readonly string[] {
  if (java.version < 9) return [];
  return [
    ...exported.map((name) => `--add-exports=${name}=ALL-UNNAMED`),
    ...opened.map((name) => `--add-opens=${name}=ALL-UNNAMED`),
  ];
}

/** Finds Java by `env.java.home`, JAVA_HOME, PATH, in this order, and asks for its version. @throws ConfigurationError */
export function findJava(
  configuration: Configuration,
  environment: Readonly<Record<string, string | undefined>>,
): Java {
  const home = configuration.string('env.java.home');
  if (home !== undefined) return javaAt('env.java.home', join(home, 'bin', 'java'));
  const homeOfEnvironment = environment.JAVA_HOME;
  if (homeOfEnvironment) return javaAt('JAVA_HOME', join(homeOfEnvironment, 'bin', 'java'));
  const folders = (environment.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const found = folders.map((folder) => join(folder, 'java')).find(isExecutable);
  if (found === undefined) {
    throw new ConfigurationError(
      'env.java.home',
      'no Java was found (neither env.java.home nor JAVA_HOME is set, and PATH has no java); ' +
        'install Java 17 or set env.java.home to its directory',
    );
  }
  return javaAt('PATH', found);
}

function javaAt(key: string, path: string): Java {
  const remedy = 'name the directory of a Java 11 or newer, best 17';
  if (!isExecutable(path)) {
    throw new ConfigurationError(key, `there is no program ${path}; ${remedy}`);
  }
  try {
    return { path, version: askVersion(path) };
  } catch (error) {
    throw new ConfigurationError(key, `${path} does not run; ${remedy}`, { cause: error });
  }
}

/** `java -version` writes to standard error. */
function askVersion(path: string): number {
  const asked = spawnSync(path, ['-version'], { encoding: 'utf8', timeout: 30_000 });
  const match = /version "(?:1\.)?(\d+)/.exec(asked.stderr ?? '');
  if (asked.status !== 0 || match === null) {
    throw new Error(`java -version ended with ${asked.status ?? asked.signal}: ${asked.stderr}`);
  }
  return Number(match[1]);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
