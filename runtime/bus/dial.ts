import { readFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import {
  type Authenticator,
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  type NatsConnection,
  nkeyAuthenticator,
} from 'nats';
import { BusUnavailableError, ConfigurationError } from '../errors.ts';

/** How the bus knows us. A secret is never part of an error's text. */
export interface Credentials {
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** A `.creds` file (JWT and seed). */
  readonly credentialsFile?: string;
  /** A file that holds the seed of a user's nkey. */
  readonly nkeyFile?: string;
  readonly tls?: {
    readonly caFile?: string;
    readonly certFile?: string;
    readonly keyFile?: string;
  };
}

/** One address of a server, with what its URL said beside it. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly user?: string;
  readonly password?: string;
}

const defaultPort = 4222;

/** `nats://[user:password@]host[:port]`, `tls://…` or plain `host[:port]`. @throws ConfigurationError */
export function parseServer(text: string): ServerAddress {
  const url = URL.parse(text.includes('://') ? text : `nats://${text}`);
  if (url === null || url.hostname === '' || !['nats:', 'tls:'].includes(url.protocol)) {
    throw wrongServer(text, 'is not nats://host:port or tls://host:port, several by commas');
  }
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? defaultPort : Number(url.port),
    tls: url.protocol === 'tls:',
    ...(url.username === '' ? {} : { user: decoded(url.username, text) }),
    ...(url.password === '' ? {} : { password: decoded(url.password, text) }),
  };
}

function decoded(part: string, text: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    const why = 'user and password are to be percent-encoded in an address (% as %25)';
    throw wrongServer(text, why, { cause });
  }
}

/** What stands before the host may be a secret. */
function wrongServer(text: string, why: string, options?: ErrorOptions): ConfigurationError {
  const shown = text.replace(/^(\w+:\/\/)?.*@/, '$1');
  return new ConfigurationError('drey.nats.servers', `"${shown}": ${why}`, options);
}

/** `host:port`, for people: without credentials. */
export function showServer(server: ServerAddress): string {
  return `${server.host.includes(':') ? `[${server.host}]` : server.host}:${server.port}`;
}

/** How long a server has for each of greeting, log-in and first answer. */
const answerMs = 3000;

/**
 * One connection to one server, or an error soon. The client's own reconnect is not used: measured,
 * with a full socket buffer it never leaves a frozen server, and each dial that it gives up leaves a
 * socket open. A frozen server still accepts connections, so it is first asked for its greeting on a
 * socket that is ours to close.
 */
export async function dial(
  server: ServerAddress,
  name: string,
  credentials: Credentials,
): Promise<NatsConnection> {
  await greeting(server);
  const options: ConnectionOptions = {
    servers: [showServer(server)],
    name,
    reconnect: false,
    noAsyncTraces: true,
    timeout: answerMs,
    ...(await authentication(server, credentials)),
  };
  try {
    return await connect(options);
  } catch (error) {
    throw new BusUnavailableError(reasonOf(error), { cause: error });
  }
}

async function authentication(
  server: ServerAddress,
  credentials: Credentials,
): Promise<Partial<ConnectionOptions>> {
  const user = server.user ?? credentials.user;
  const pass = server.password ?? credentials.password;
  const authenticator = await keyed(credentials);
  return {
    ...(user === undefined ? {} : { user }),
    ...(pass === undefined ? {} : { pass }),
    ...(credentials.token === undefined ? {} : { token: credentials.token }),
    ...(authenticator === undefined ? {} : { authenticator }),
    ...(server.tls || credentials.tls !== undefined ? { tls: { ...credentials.tls } } : {}),
  };
}

async function keyed(credentials: Credentials): Promise<Authenticator | undefined> {
  const { credentialsFile, nkeyFile } = credentials;
  if (credentialsFile !== undefined) return credsAuthenticator(await readFile(credentialsFile));
  if (nkeyFile === undefined) return undefined;
  const seed = (await readFile(nkeyFile, 'utf8')).trim();
  return nkeyAuthenticator(new TextEncoder().encode(seed));
}

function greeting(server: ServerAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (why: string, cause?: Error) =>
      reject(new BusUnavailableError(why, cause === undefined ? {} : { cause }));
    const socket = createConnection({ host: server.host, port: server.port });
    const timer = setTimeout(() => {
      refuse(`no greeting within ${answerMs} ms`);
      socket.destroy();
    }, answerMs);
    socket.once('data', (data) => {
      if (data.subarray(0, 5).toString().toUpperCase() === 'INFO ') resolve();
      else refuse('what listens there is not a NATS server');
      socket.destroy();
    });
    socket.on('error', (error) => refuse(error.message || String(error), error));
    socket.on('close', () => {
      clearTimeout(timer);
      refuse('closed the connection');
    });
  });
}

/** Whether the server does not let us in: repeating with the same credentials helps only once it is changed. */
export function isRefusedLogin(error: unknown): boolean {
  const cause = error instanceof BusUnavailableError ? error.cause : undefined;
  return (
    cause instanceof Error &&
    'code' in cause &&
    ['AUTHORIZATION_VIOLATION', 'AUTHENTICATION_EXPIRED', 'BAD_CREDS'].includes(String(cause.code))
  );
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
