import { createReadStream } from 'node:fs';
import { open, realpath, stat } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sep } from 'node:path';
import { mesosVersion } from '../core/master-info.ts';
import { sandboxOf, type WorkDirectory } from './paths.ts';
import type { RunningAgent } from './running-agent.ts';

/** One answer holds at most as much of a file as a real agent gives. */
const pageBytes = 16 * 4096;

/** The agent's own HTTP server: /health, /state with the sandboxes, /files/read, /files/download. */
export async function serveFiles(
  address: { readonly ip: string; readonly port: number },
  directory: WorkDirectory,
  agent: () => RunningAgent | undefined,
): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((request, response) => {
    const url = URL.parse(request.url ?? '/', 'http://agent');
    if (url === null) {
      send(response, 400, '400 Bad Request.');
      return;
    }
    const path = url.pathname.replace(/^\/slave\(1\)/, '');
    if (path === '/health') send(response, 200, '');
    else if (path === '/state') sendJson(response, stateView(directory, agent()));
    else if (path === '/files/read') void file(directory, url, response, read);
    else if (path === '/files/download') void file(directory, url, response, download);
    else send(response, 404, '404 Not Found.');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.ip, resolve);
  });
  return { server, port: (server.address() as AddressInfo).port };
}

function stateView(directory: WorkDirectory, agent: RunningAgent | undefined): unknown {
  const { agentId = '', registration, tasks } = agent?.state ?? {};
  const executors = [...(tasks?.values() ?? [])].map((task) => ({
    frameworkId: task.framework.id?.value ?? '',
    id: task.task.task_id.value,
    container: task.containerId,
    directory: sandboxOf(directory.root, agentId, task),
  }));
  const frameworkIds = [...new Set(executors.map(({ frameworkId }) => frameworkId))];
  return {
    version: mesosVersion,
    id: agentId,
    hostname: registration?.hostname,
    frameworks: frameworkIds.map((id) => ({
      id,
      executors: executors.filter(({ frameworkId }) => frameworkId === id),
    })),
  };
}

type Sender = (path: string, url: URL, response: ServerResponse) => Promise<void>;

async function file(
  directory: WorkDirectory,
  url: URL,
  response: ServerResponse,
  sender: Sender,
): Promise<void> {
  try {
    const root = await realpath(directory.root);
    const path = await realpath(url.searchParams.get('path') ?? '');
    if (!path.startsWith(`${root}${sep}`) || !(await stat(path)).isFile()) {
      throw new Error('no file of this agent');
    }
    await sender(path, url, response);
  } catch {
    // Whatever the reason, there is no such file for the one who asks.
    if (response.headersSent) response.destroy();
    else send(response, 404, '404 Not Found.');
  }
}

/** Without an offset the size alone is told, as a real agent does. */
async function read(path: string, url: URL, response: ServerResponse): Promise<void> {
  const { size } = await stat(path);
  const asked = url.searchParams.get('offset');
  const offset = asked === null || Number(asked) < 0 ? size : Number(asked);
  const wanted = Number(url.searchParams.get('length') ?? pageBytes);
  const length = Math.max(0, Math.min(wanted, pageBytes, size - offset));
  const handle = await open(path);
  try {
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await handle.read(buffer, 0, length, offset);
    sendJson(response, { data: buffer.toString('utf8', 0, bytesRead), offset });
  } finally {
    await handle.close();
  }
}

async function download(path: string, _: URL, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'Content-Type': 'application/octet-stream' });
  createReadStream(path)
    .on('error', () => response.destroy())
    .pipe(response);
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

function sendJson(response: ServerResponse, value: unknown): void {
  const body = JSON.stringify(value);
  response.setHeader('Content-Type', 'application/json');
  send(response, 200, body);
}
