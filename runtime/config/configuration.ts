import { ConfigurationError } from '../errors.ts';
import { isSensitive, withoutPasswords } from '../secrets.ts';
import { parseBoolean, parseDuration, parseMemory, parseNumber, splitQuoted } from './values.ts';

/** One value and where it came from (`config.yaml:12`, `-D`, `environment DREY_NATS_SERVERS`). */
export interface Setting {
  readonly key: string;
  readonly value: string;
  readonly origin: string;
  /** The entries, when it was written as a YAML list. */
  readonly list?: readonly string[];
}

/** What a number may be. */
export interface NumberLimits {
  readonly min?: number;
  readonly max?: number;
}

const highestPort = 65_535;

/**
 * Everything that was configured, as dotted keys. Typed getters give undefined where a key is not
 * set and throw ConfigurationError, naming key, value, origin and what is allowed, where it is wrong.
 */
export class Configuration {
  readonly #settings: ReadonlyMap<string, Setting>;
  readonly #environment: Readonly<Record<string, string | undefined>>;
  /** What was written wrongly but does no harm: lines that hold no key and value. */
  readonly warnings: readonly string[];

  constructor(
    settings: Iterable<Setting>,
    environment: Readonly<Record<string, string | undefined>> = {},
    warnings: readonly string[] = [],
  ) {
    this.#settings = new Map([...settings].map((setting) => [setting.key, setting]));
    this.#environment = environment;
    this.warnings = warnings;
  }

  /** The setting of a key; for `drey.x.y` the environment variable DREY_X_Y is the last resort. */
  setting(key: string): Setting | undefined {
    return this.#settings.get(key) ?? this.#fromEnvironment(key);
  }

  #fromEnvironment(key: string): Setting | undefined {
    if (!key.startsWith('drey.')) return undefined;
    const name = environmentName(key);
    const value = this.#environment[name];
    if (value === undefined || value === '') return undefined;
    return { key, value, origin: `environment ${name}` };
  }

  /** Every setting of files and options, sorted by key; those of the environment are not among them. */
  entries(): readonly Setting[] {
    return [...this.#settings.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Settings below a prefix (`containerized.taskmanager.env.`) by the rest of their keys. */
  below(prefix: string): ReadonlyMap<string, string> {
    const found = this.entries().filter((setting) => setting.key.startsWith(prefix));
    return new Map(found.map((setting) => [setting.key.slice(prefix.length), setting.value]));
  }

  has(key: string): boolean {
    return this.setting(key) !== undefined;
  }

  /** The first of several keys that is set. */
  firstOf(...keys: readonly string[]): Setting | undefined {
    for (const key of keys) {
      const setting = this.setting(key);
      if (setting !== undefined) return setting;
    }
    return undefined;
  }

  string(key: string): string | undefined {
    return this.setting(key)?.value;
  }

  /** The value of a key that must be set; `remedy` tells a person what to write. */
  required(key: string, remedy: string): string {
    const value = this.string(key);
    if (value === undefined) throw new ConfigurationError(key, `is not set; ${remedy}`);
    return value;
  }

  oneOf<T extends string>(key: string, allowed: readonly T[]): T | undefined {
    return this.#parsed(
      key,
      (text) => allowed.find((entry) => entry === text),
      `one of ${allowed.join(', ')}`,
    );
  }

  int(key: string, limits: NumberLimits = {}): number | undefined {
    const parse = (text: string): number | undefined => {
      const number = /^[-+]?\d+$/.test(text.trim()) ? Number(text) : undefined;
      return within(number, limits);
    };
    return this.#parsed(key, parse, `a whole number${describe(limits)}`);
  }

  /** A TCP port; 0 stands for any free one. */
  port(key: string): number | undefined {
    return this.int(key, { min: 0, max: highestPort });
  }

  double(key: string, limits: NumberLimits = {}): number | undefined {
    return this.#parsed(
      key,
      (text) => within(parseNumber(text), limits),
      `a number${describe(limits)}`,
    );
  }

  boolean(key: string): boolean | undefined {
    return this.#parsed(key, parseBoolean, 'true or false');
  }

  /** A duration in Flink's syntax, as ms. */
  durationMs(key: string, limits: NumberLimits = {}): number | undefined {
    return this.#parsed(
      key,
      (text) => within(parseDuration(text), limits),
      `a duration such as "500 ms", "30 s", "5 min"; without a unit it is ms${describe(limits)}`,
    );
  }

  /** A memory size in Flink's syntax, as bytes. */
  memoryBytes(key: string): number | undefined {
    return this.#parsed(
      key,
      parseMemory,
      'a memory size such as "1728m" or "2 gb"; without a unit it is bytes',
    );
  }

  /** A list: in YAML, or as text with a separator (Flink's own is `;`). */
  list(key: string, separator = ';'): readonly string[] | undefined {
    const setting = this.setting(key);
    if (setting === undefined) return undefined;
    return setting.list ?? splitQuoted(setting.value, separator);
  }

  /** A map: `k1:v1,k2:v2`, or the keys below it. */
  map(key: string): ReadonlyMap<string, string> | undefined {
    const setting = this.setting(key);
    if (setting === undefined) {
      const nested = this.below(`${key}.`);
      return nested.size === 0 ? undefined : nested;
    }
    const entries = splitQuoted(setting.value, ',').map((entry, at) => {
      const colon = entry.indexOf(':');
      if (colon < 1) {
        throw wrongValue(setting, `entry ${at + 1} ("${entry}") is not name:value`);
      }
      return [entry.slice(0, colon).trim(), entry.slice(colon + 1).trim()] as const;
    });
    return new Map(entries);
  }

  #parsed<T>(key: string, parse: (text: string) => T | undefined, allowed: string): T | undefined {
    const setting = this.setting(key);
    if (setting === undefined) return undefined;
    const value = parse(setting.value);
    if (value === undefined) throw wrongValue(setting, `allowed is ${allowed}`);
    return value;
  }
}

/** The error for a value that is not allowed. */
export function wrongValue(setting: Setting, allowed: string): ConfigurationError {
  const shown = isSensitive(setting.key) ? '(a secret)' : `"${withoutPasswords(setting.value)}"`;
  return new ConfigurationError(setting.key, `${shown} (${setting.origin}): ${allowed}`);
}

/** DREY_X_Y for `drey.x.y`. */
export function environmentName(key: string): string {
  return key.toUpperCase().replace(/[.-]/g, '_');
}

function within(number: number | undefined, limits: NumberLimits): number | undefined {
  if (number === undefined || !Number.isFinite(number)) return undefined;
  if (limits.min !== undefined && number < limits.min) return undefined;
  if (limits.max !== undefined && number > limits.max) return undefined;
  return number;
}

function describe({ min, max }: NumberLimits): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  if (min !== undefined) return `, at least ${min}`;
  return max === undefined ? '' : `, at most ${max}`;
}
