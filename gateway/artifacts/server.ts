import { createReadStream, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { ConfigurationError } from '#runtime/errors.ts';
import type { ArtifactSettings } from '../spec/gateway.ts';
import type { Artifact } from './archive.ts';
import { rangeOf } from './range.ts';
import type { Shipment } from './shipment.ts';

const portKey = 'mesos.resourcemanager.artifactserver.port';

/** What agents fetch from. */
export interface ArtifactServer {
  readonly port: number;
  /** URLs of the artifacts, in their order. */
  readonly urls: readonly string[];
  close(): Promise<void>;
}

/**
 * Serves exactly these artifacts at `/<token>/<sha256>/<name>`; there is no listing, and no other
 * path leads to a file. @throws ConfigurationError the port is in use, or the keystore is wrong.
 */
export async function serveArtifacts(
  shipment: Shipment,
  settings: ArtifactSettings,
  stateDir: string,
): Promise<ArtifactServer> {
  const byPath = new Map(shipment.artifacts.map((each) => [pathOf(shipment.token, each), each]));
  const app = makeApp(settings);
  app.all('*', async (request, reply) => {
    const artifact = byPath.get(new URL(request.url, 'http://artifacts').pathname);
    if (artifact === undefined) return reply.code(404).send();
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return reply.code(405).header('allow', 'GET, HEAD').send();
    }
    return send(artifact, request, reply);
  });
  await listen(app, settings, stateDir);
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : settings.port;
  const scheme = settings.tls === undefined ? 'http' : 'https';
  const host = settings.address.includes(':') ? `[${settings.address}]` : settings.address;
  return {
    port,
    urls: [...byPath.keys()].map((path) => `${scheme}://${host}:${port}${path}`),
    close: () => app.close(),
  };
}

function pathOf(token: string, { sha256, name }: Artifact): string {
  return `/${token}/${sha256}/${encodeURIComponent(name)}`;
}

function makeApp({ tls }: ArtifactSettings): FastifyInstance {
  const options = { forceCloseConnections: true, exposeHeadRoutes: false };
  if (tls === undefined) return fastify(options);
  try {
    const https = { pfx: readFileSync(tls.keystore), passphrase: tls.password };
    return fastify({ ...options, https }) as unknown as FastifyInstance;
  } catch (error) {
    throw new ConfigurationError(
      'security.ssl.rest.keystore',
      `${tls.keystore} cannot be used (${(error as Error).message}); it must be a PKCS12 keystore, and security.ssl.rest.keystore-password its password`,
      { cause: error },
    );
  }
}

/** Where 0 leaves the choice, the port of the last start is tried first: it is part of every URL that agents have cached. */
async function listen(
  app: FastifyInstance,
  { host, port }: ArtifactSettings,
  stateDir: string,
): Promise<void> {
  const file = join(stateDir, 'artifacts', 'port');
  const last = port === 0 && existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  try {
    await app.listen({ host, port: port === 0 && (await isFree(host, last)) ? last : port });
  } catch (error) {
    throw new ConfigurationError(
      portKey,
      `cannot listen on ${host}:${port} (${(error as Error).message}); set another port, or 0 for any free one`,
      { cause: error },
    );
  }
  const address = app.server.address();
  if (port === 0 && typeof address === 'object' && address !== null) {
    writeFileSync(file, String(address.port));
  }
}

/** fastify cannot listen again after a failure: the port is tried apart. */
function isFree(host: string, port: number): Promise<boolean> {
  if (!Number.isInteger(port) || port <= 0) return Promise.resolve(false);
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ host, port }, () => probe.close(() => resolve(true)));
  });
}

async function send(
  artifact: Artifact,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { path, size, sha256 } = artifact;
  const found = await stat(path).catch(() => undefined);
  // It was there when its URL was made: gone, rather than never there.
  if (found?.size !== size) return reply.code(410).send();
  const etag = `"${sha256}"`;
  reply
    .type('application/octet-stream')
    .header('accept-ranges', 'bytes')
    .header('cache-control', 'private')
    .header('etag', etag);
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  const ifRange = request.headers['if-range'];
  const ranged = ifRange === undefined || ifRange === etag;
  const range = rangeOf(ranged ? request.headers.range : undefined, size);
  if (range === 'unsatisfiable') {
    return reply.code(416).header('content-range', `bytes */${size}`).send();
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  if (range !== undefined) {
    reply.code(206).header('content-range', `bytes ${start}-${end}/${size}`);
  }
  reply.header('content-length', end - start + 1);
  if (request.method === 'HEAD') return reply.send();
  return reply.send(createReadStream(path, { start, end }));
}
