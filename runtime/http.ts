import fastify from 'fastify';
import type { Registry } from 'prom-client';
import { ConfigurationError } from './errors.ts';

export interface HealthOptions {
  /** 0 takes any free port. */
  readonly port: number;
  readonly host: string;
  /** The configuration key of the port, for the error when it is in use. */
  readonly portKey: string;
  readonly registry: Registry;
  /** Whether work can be done now, and why not. */
  ready(): { readonly ready: boolean; readonly why: string };
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/** `/health` (the process lives), `/ready` (it can work) and `/metrics` (Prometheus text). @throws ConfigurationError the port is in use. */
export async function serveHealth(options: HealthOptions): Promise<HealthServer> {
  const { port, host, portKey, registry } = options;
  const app = fastify({ forceCloseConnections: true });
  app.get('/health', async () => ({ status: 'ok' }));
  app.get('/ready', async (_request, reply) => {
    const state = options.ready();
    return reply.code(state.ready ? 200 : 503).send(state);
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  );
  try {
    await app.listen({ port, host });
  } catch (error) {
    const why = `cannot listen on ${host}:${port} (${(error as Error).message}); set another port`;
    throw new ConfigurationError(portKey, why, { cause: error });
  }
  const address = app.server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: () => app.close(),
  };
}
