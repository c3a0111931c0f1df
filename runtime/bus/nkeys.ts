import { nkeys } from 'nats';

/** A user's key pair: the server knows the public half only. */
export interface UserKey {
  /** Secret. */
  readonly seed: string;
  readonly publicKey: string;
}

interface KeyPair {
  getPublicKey(): string;
  getSeed(): Uint8Array;
}

// The package declares its keys without types.
const keys: {
  readonly createUser: () => KeyPair;
  readonly fromSeed: (seed: Uint8Array) => KeyPair;
} = nkeys;

export function newUserKey(): UserKey {
  return shown(keys.createUser());
}

/** @throws Error what was given is no seed. */
export function userKeyOf(seed: string): UserKey {
  return shown(keys.fromSeed(new TextEncoder().encode(seed)));
}

function shown(pair: KeyPair): UserKey {
  return { seed: new TextDecoder().decode(pair.getSeed()), publicKey: pair.getPublicKey() };
}
