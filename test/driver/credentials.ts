import { nkeys } from 'nats';

/** What a nats-server in operator mode needs, and the credentials of one user of it. */
export interface Operator {
  /** Lines of the server's configuration. */
  readonly configuration: string;
  /** Content of a credentials file. */
  readonly credentials: string;
}

interface KeyPair {
  getPublicKey(): string;
  getSeed(): Uint8Array;
  sign(data: Uint8Array): Uint8Array;
}

// The package declares its keys without types.
const keys: Readonly<Record<'createOperator' | 'createAccount' | 'createUser', () => KeyPair>> =
  nkeys;

/** An operator with a system account, and an account with one user who may do everything. */
export function operator(): Operator {
  const top = keys.createOperator();
  const [system, account] = [keys.createAccount(), keys.createAccount()];
  const user = keys.createUser();
  const accountToken = (one: KeyPair, name: string): string =>
    token(top, one, name, { type: 'account', limits: unlimited, default_permissions: {} });
  const configuration = [
    `operator: ${token(top, top, 'test', { type: 'operator' })}`,
    `system_account: ${system.getPublicKey()}`,
    'resolver: MEMORY',
    'resolver_preload {',
    `  ${system.getPublicKey()}: ${accountToken(system, 'SYS')}`,
    `  ${account.getPublicKey()}: ${accountToken(account, 'drey')}`,
    '}',
  ].join('\n');
  const everything = { pub: {}, sub: {}, subs: -1, data: -1, payload: -1 };
  const userToken = token(account, user, 'flink', { type: 'user', ...everything });
  const seed = new TextDecoder().decode(user.getSeed());
  return {
    configuration,
    credentials: [
      ...['-----BEGIN NATS USER JWT-----', userToken, '------END NATS USER JWT------', ''],
      ...['-----BEGIN USER NKEY SEED-----', seed, '------END USER NKEY SEED------', ''],
    ].join('\n'),
  };
}

const unlimited = {
  ...{ subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true },
  ...{ conn: -1, leaf: -1 },
};

/** A JSON web token as NATS wants it: signed by the issuer's key. */
function token(issuer: KeyPair, subject: KeyPair, name: string, nats: object): string {
  const claims = {
    jti: name,
    iat: Math.floor(Date.now() / 1000),
    iss: issuer.getPublicKey(),
    name,
    sub: subject.getPublicKey(),
    nats: { ...nats, version: 2 },
  };
  const signed = [{ typ: 'JWT', alg: 'ed25519-nkey' }, claims].map(encoded).join('.');
  const signature = issuer.sign(new TextEncoder().encode(signed));
  return `${signed}.${Buffer.from(signature).toString('base64url')}`;
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
