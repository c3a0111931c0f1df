import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Role, rightsOf, roles } from '#proto/access.ts';
import { newUserKey, userKeyOf } from '#runtime/bus/nkeys.ts';
import { accountOf } from './account.ts';

const usage = 'deploy/nats/access --cluster NAME --to DIRECTORY';

/** Writes the keys of every role, those that are missing, and the server's configuration for them. */
function main(words: string[]): void {
  const options = { cluster: { type: 'string' }, to: { type: 'string' } } as const;
  const { cluster, to } = parseArgs({ args: words, options, strict: true }).values;
  if (cluster === undefined || to === undefined) throw new RangeError(`usage: ${usage}`);
  // The name stands in those of files: one that cannot be is refused before any is written.
  rightsOf(cluster);
  // nats-server, another user, reads the configuration here; the seeds are for their own user.
  mkdirSync(to, { recursive: true, mode: 0o755 });
  const seedOf = (role: string): string => join(to, `${cluster}.${role}.nkey`);
  const keys = roles.map((role) => [role, publicKeyIn(seedOf(role))] as const);
  const file = join(to, `drey-${cluster}.conf`);
  writeWhole(file, accountOf(cluster, Object.fromEntries(keys) as Record<Role, string>), 0o644);
  process.stdout.write(
    `${file}: include it in the accounts block of nats-server\n` +
      `${seedOf('<role>')}: the seeds, secret; give each process its own as drey.nats.<process>.nkey\n`,
  );
}

/** Keys that are there are kept: after an upgrade only the rights are written anew. */
function publicKeyIn(file: string): string {
  if (!existsSync(file)) {
    writeWhole(file, `${newUserKey().seed}\n`, 0o600);
  }
  return userKeyOf(readFileSync(file, 'utf8').trim()).publicKey;
}

/** A write that is cut short leaves what was there. */
function writeWhole(file: string, text: string, mode: number): void {
  const unfinished = `${file}.${process.pid}`;
  writeFileSync(unfinished, text, { mode });
  renameSync(unfinished, file);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
