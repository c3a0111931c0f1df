import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/** Every address of this machine. */
export const anyAddress = '0.0.0.0';

/** Nothing is sent there: the address only asks the kernel which way leads outside (RFC 5737). */
const outside = '192.0.2.1';

/**
 * The address of this machine that others reach: the one from which the way to the Mesos master
 * leads, or, where the master is on this machine, the one that leads outside.
 */
export async function advertisedAddress(masterHost: string | undefined): Promise<string> {
  const towards = masterHost === undefined ? undefined : await localAddressTowards(masterHost);
  if (towards !== undefined && !isLoopback(towards)) return towards;
  return (await localAddressTowards(outside)) ?? '127.0.0.1';
}

/** Whether a port can be listened on. */
export function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Below the range from which the kernel takes ports for connections going out, so that it stays ours over a restart. */
const firstPort = 20_000;
const lastPort = 29_999;
const mostTries = 1000;

/** A port that is free now; the one asked for, where it is. */
export async function freePort(host: string, preferred = 0): Promise<number> {
  if (preferred !== 0 && (await isFree(preferred, host))) return preferred;
  for (let tries = 0; tries < mostTries; tries++) {
    const port = randomInt(firstPort, lastPort + 1);
    if (await isFree(port, host)) return port;
  }
  throw new Error(`no port from ${firstPort} to ${lastPort} of ${host} is free`);
}

/** Names and addresses that mean this machine alone. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

function localAddressTowards(host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const finish = (address: string | undefined): void => {
      socket.close();
      resolve(address);
    };
    socket.connect(9, host, (error?: Error) => {
      // No way there, or no such name: the caller has a second choice.
      finish(error instanceof Error ? undefined : socket.address().address);
    });
  });
}
