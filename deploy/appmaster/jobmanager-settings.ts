/** Configuration keys and their values. */
export type Settings = ReadonlyMap<string, string | readonly string[]>;

/** Keys of other processes: Flink would show some of them, such as `drey.zookeeper.auth`, on its page and in its log. */
const ofOthers = [
  /^drey\.(zookeeper|gateway|functions|artifactserver)\./,
  /^drey\.nats\.(gateway|functions|appmaster)\./,
  /^containerized\./,
  // The driver sizes workers by two keys of theirs.
  /^mesos\.(?!resourcemanager\.tasks\.(cpus|gpus)$)/,
];
const identities = ['user', 'password', 'token', 'credentials', 'nkey'];
const identity = new Set(identities.map((name) => `drey.nats.${name}`));
const driverPrefix = 'drey.nats.driver.';

/** Keys of the driver that may stand in the environment, which it does not read (`DreyOptions.java`). */
export const driverKeys: readonly string[] = [
  ...identity,
  ...identities.map((name) => `${driverPrefix}${name}`),
  'drey.nats.tls.ca',
  'drey.nats.tls.certificate',
  'drey.nats.tls.key',
  'drey.driver.surplus-hold',
];

/**
 * What the JobManager reads: nothing that only other processes need, and no secret under a key that Flink does
 * not know to hide. Its own user of NATS stands where the driver looks for it.
 */
export function jobManagerSettings(settings: Settings): Settings {
  const kept = new Map([...settings].filter(([key]) => !ofOthers.some((one) => one.test(key))));
  const own = [...kept].filter(([key]) => key.startsWith(driverPrefix));
  if (own.length > 0) {
    for (const key of kept.keys()) if (identity.has(key)) kept.delete(key);
  }
  for (const [key, value] of own) {
    kept.delete(key);
    kept.set(`drey.nats.${key.slice(driverPrefix.length)}`, value);
  }
  return withoutUserInfo(kept);
}

/** `nats://user:password@host` would be shown whole: the credentials get keys of their own. */
function withoutUserInfo(settings: Settings): Settings {
  const servers = settings.get('drey.nats.servers');
  if (servers === undefined) return settings;
  const named = (typeof servers === 'string' ? servers.split(',') : servers).map((one) =>
    one.trim(),
  );
  const urls = named.map((one) => URL.parse(one.includes('://') ? one : `nats://${one}`));
  const known = urls.find((url) => url !== null && url.username !== '');
  if (known === undefined || known === null) return settings;
  return new Map([
    ...settings,
    ['drey.nats.servers', named.map(withoutCredentials).join(',')],
    ['drey.nats.user', decodeURIComponent(known.username)],
    ['drey.nats.password', decodeURIComponent(known.password)],
  ]);
}

/** An address without what stands before its `@`. */
export function withoutCredentials(address: string): string {
  return address.replace(/(^|\/\/)[^@/]*@/g, '$1');
}
