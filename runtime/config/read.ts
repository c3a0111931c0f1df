import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigurationError } from '../errors.ts';
import { Configuration, type Setting } from './configuration.ts';
import { type FileContents, parseConfigYaml, parseFlinkConf } from './files.ts';

/** Where configuration is read from. */
export interface Sources {
  /** Flink's conf directory (`FLINK_CONF_DIR`). */
  readonly confDir?: string | undefined;
  /** `-Dkey=value`, or `-D key=value` as two arguments; nothing else. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Reads the file, lays the options over it, and keeps the environment as the last resort. @throws ConfigurationError */
export function readConfiguration(sources: Sources): Configuration {
  const file = readDirectory(sources.confDir);
  const options = parseOptions(sources.arguments);
  return new Configuration([...file.settings, ...options], sources.environment, file.warnings);
}

function readDirectory(confDir: string | undefined): FileContents {
  if (confDir === undefined) return { settings: [], warnings: [] };
  const [standard, legacy] = ['config.yaml', 'flink-conf.yaml'];
  if (existsSync(join(confDir, standard))) {
    const { settings } = parseConfigYaml(readText(confDir, standard), standard);
    const both = existsSync(join(confDir, legacy));
    const warnings = both ? [`${legacy} is ignored because ${standard} is beside it`] : [];
    return { settings, warnings };
  }
  if (existsSync(join(confDir, legacy))) {
    return parseFlinkConf(readText(confDir, legacy), legacy);
  }
  throw new ConfigurationError(
    'FLINK_CONF_DIR',
    `there is neither ${standard} nor ${legacy} in ${confDir}; name the directory that holds one`,
  );
}

function readText(confDir: string, name: string): string {
  try {
    return readFileSync(join(confDir, name), 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigurationError('FLINK_CONF_DIR', `${name} cannot be read: ${why}`, {
      cause: error,
    });
  }
}

/** The settings of `-D` options; an option without `=` is `true`, as Flink's own parser has it. @throws ConfigurationError */
function parseOptions(options: readonly string[]): readonly Setting[] {
  const settings: Setting[] = [];
  for (let at = 0; at < options.length; at++) {
    const option = options[at] ?? '';
    if (!option.startsWith('-D')) {
      throw new ConfigurationError(option, 'is no option; only -Dkey=value is understood');
    }
    const text = option === '-D' ? (options[++at] ?? '') : option.slice(2);
    const equals = text.indexOf('=');
    const key = (equals < 0 ? text : text.slice(0, equals)).trim();
    if (key === '') {
      throw new ConfigurationError(option, 'names no key; write -Dkey=value');
    }
    settings.push({ key, value: equals < 0 ? 'true' : text.slice(equals + 1), origin: '-D' });
  }
  return settings;
}
