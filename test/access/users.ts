import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type NatsConnection, nkeyAuthenticator } from 'nats';
import { inboxOf, type Role } from '#proto/access.ts';
import type { Bus } from '#runtime/bus/bus.ts';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import { type NatsServer, type NatsVersion, startNats } from '#test/world/nats.ts';

/** Writes the keys of a cluster. */
export const generator = join(import.meta.dirname, '../../deploy/nats/access');

/** A nats-server with the users of one cluster, as `deploy/nats/access` writes them. */
export interface GuardedNats {
  readonly server: NatsServer;
  /** The file with this role's seed. */
  keyOf(role: Role): string;
  /** As a process of drey connects. */
  bus(role: Role): Promise<Bus>;
  /** As any client may try. */
  client(role: Role, options?: ConnectionOptions): Promise<NatsConnection>;
  /** What the server refused so far: its own words. */
  violations(): Promise<readonly string[]>;
}

/** Starts it below `dir`; the account is included as the documentation says. `more`: further lines of its configuration. */
export async function startGuardedNats(
  cluster: string,
  dir: string,
  version: NatsVersion,
  more = '',
): Promise<GuardedNats> {
  await mkdir(dir, { recursive: true });
  const keys = join(dir, 'access');
  execFileSync(generator, ['--cluster', cluster, '--to', keys], { stdio: 'pipe' });
  const configuration = `accounts {\n  include "access/drey-${cluster}.conf"\n}\n${more}`;
  const server = await startNats({ dir, version, configuration });
  const keyOf = (role: Role): string => join(keys, `${cluster}.${role}.nkey`);
  return {
    server,
    keyOf,
    bus: (role) =>
      connectBus({
        servers: [server.url],
        name: role,
        credentials: { nkeyFile: keyOf(role) },
        inbox: inboxOf(cluster, role),
        clock: systemClock,
      }),
    client: (role, options = {}) => {
      const seed = new TextEncoder().encode(readFileSync(keyOf(role), 'utf8').trim());
      const authenticator = nkeyAuthenticator(seed);
      return connect({ servers: server.url, authenticator, reconnect: false, ...options });
    },
    violations: async () =>
      (await server.log()).split('\n').filter((line) => /violation/i.test(line)),
  };
}
