import type { ClusterSettings } from '#proto/spec.ts';
import type { Configuration, Setting } from '#runtime/config/configuration.ts';
import { wrongValue } from '#runtime/config/configuration.ts';
import { withoutPasswords } from '#runtime/secrets.ts';

/** Ports that every TaskManager gets from the offer. */
const fixedPorts = ['taskmanager.data.port', 'taskmanager.rpc.port'] as const;

/** `mesos.resourcemanager.tasks.port-assignments`: configuration keys, each of which gets one port. @throws ConfigurationError */
export function portKeys(config: Configuration): readonly string[] {
  const setting = config.setting('mesos.resourcemanager.tasks.port-assignments');
  const named = entriesOf(setting, (entry, fail) => {
    if (/^\d+$/.test(entry)) throw fail('is a port number; name the configuration key instead');
    if (!/^[A-Za-z0-9._-]+$/.test(entry)) throw fail('is not the name of a configuration key');
    return entry;
  });
  return [...new Set([...fixedPorts, ...named])];
}

/** `mesos.constraints.hard.hostattribute`: `attribute:value`, all must hold. @throws ConfigurationError */
export function hostAttributes(config: Configuration): ClusterSettings['hostAttributes'] {
  const setting = config.setting('mesos.constraints.hard.hostattribute');
  return entriesOf(setting, (entry, fail) => {
    const [attribute, value, ...rest] = entry.split(':').map((part) => part.trim());
    if (!attribute || !value || rest.length > 0) throw fail('is not attribute:value');
    return { attribute, value };
  });
}

/** `mesos.resourcemanager.tasks.labels`: `name:value`; a value may hold colons. @throws ConfigurationError */
export function labels(config: Configuration): Readonly<Record<string, string>> {
  return Object.fromEntries(config.map('mesos.resourcemanager.tasks.labels') ?? []);
}

/** `mesos.resourcemanager.tasks.uris`: fetched with Mesos' own defaults. @throws ConfigurationError */
export function userUris(config: Configuration): ClusterSettings['task']['uris'] {
  return entriesOf(config.setting('mesos.resourcemanager.tasks.uris'), (value, fail) => {
    if (/\s/.test(value)) throw fail('holds a blank');
    return { value, extract: true, executable: false, cache: false };
  });
}

type Fail = (why: string) => Error;

/** The entries of a comma list, each checked; an error tells the position. An empty value has none. */
function entriesOf<T>(setting: Setting | undefined, parse: (entry: string, fail: Fail) => T): T[] {
  if (setting === undefined || setting.value.trim() === '') return [];
  const entries = setting.list ?? setting.value.split(',').map((entry) => entry.trim());
  return entries.map((entry, at) => {
    const fail: Fail = (why) =>
      wrongValue(setting, `entry ${at + 1} ("${withoutPasswords(entry)}") ${why}`);
    if (entry === '') throw fail('is empty');
    return parse(entry, fail);
  });
}
