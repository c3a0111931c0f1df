import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Role, roles } from '#proto/access.ts';
import { newUserKey, userKeyOf } from '#runtime/bus/nkeys.ts';
import { accountOf } from './account.ts';

const usage = 'deploy/nats/access --cluster NAME --to DIRECTORY';

/** Writes the keys of every role, those that are missing, and the server's configuration for them. */
function main(words: string[]): void {
  const options = { cluster: { type: 'string' }, to: { type: 'string' } } as const;
  const { cluster, to } = parseArgs({ args: words, options, strict: true }).values;
  if (cluster === undefined || to === undefined) throw new RangeError(`usage: ${usage}`);
  mkdirSync(to, { recursive: true, mode: 0o700 });
  const keys = roles.map((role) => [role, publicKeyIn(join(to, `${role}.nkey`))] as const);
  const file = join(to, `drey-${cluster}.conf`);
  writeFileSync(file, accountOf(cluster, Object.fromEntries(keys) as Record<Role, string>));
  process.stdout.write(
    `${file}: include it in the accounts block of nats-server\n` +
      `${to}/<role>.nkey: the seeds, secret; give each process its own as drey.nats.<process>.nkey\n`,
  );
}

/** Keys that are there are kept: after an upgrade only the rights are written anew. */
function publicKeyIn(file: string): string {
  if (!existsSync(file)) {
    writeFileSync(file, `${newUserKey().seed}\n`, { mode: 0o600 });
  }
  return userKeyOf(readFileSync(file, 'utf8').trim()).publicKey;
}

try {
  main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
