import { randomInt } from 'node:crypto';
import { createServer, type Server } from 'node:net';

/** Below the range from which the kernel takes the ports of outgoing connections. */
const firstPort = 12_000;
const lastPort = 31_999;

/** That many different ports of loopback that are free now. */
export async function freePorts(count: number): Promise<number[]> {
  const held: Server[] = [];
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries += 1) {
    if (tries > 1000) throw new Error('no free port on loopback');
    const port = randomInt(firstPort, lastPort + 1);
    const server = await listen(port);
    if (!server) continue;
    held.push(server);
    ports.push(port);
  }
  await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** One port of loopback that is free now. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  if (port === undefined) throw new Error('no free port on loopback');
  return port;
}

/** The first of that many neighbouring ports of loopback that are free now. */
export async function freePortsInARow(count: number): Promise<number> {
  for (let tries = 0; tries < 1000; tries += 1) {
    const first = randomInt(firstPort, lastPort + 2 - count);
    const ports = Array.from({ length: count }, (_, n) => first + n);
    const held = (await Promise.all(ports.map(listen))).filter((server) => server !== undefined);
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
    if (held.length === count) return first;
  }
  throw new Error(`no ${count} free ports in a row on loopback`);
}

function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
