import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BadRequest } from './media.ts';
import { operatorCall } from './operator-api.ts';
import type { RunningMaster } from './running-master.ts';
import { answer, schedulerCall } from './scheduler-api.ts';
import {
  agentsView,
  frameworksView,
  historyView,
  stateView,
  tasksView,
  versionView,
} from './views.ts';

/** A call may be this long; the largest seen, 4,500 launches in one, has 3 MB. */
const bodyLimitBytes = 64 * 1024 * 1024;

/** Who leads: this master, another one, or nobody that is known. */
export type Leader =
  | { readonly kind: 'self' }
  | { readonly kind: 'other'; readonly address: string }
  | { readonly kind: 'none' };

type Reader = (master: RunningMaster, url: URL) => unknown;

const readers: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['/state', ({ state }) => stateView(state)],
  ['/tasks', ({ state }, url) => ({ tasks: limited(tasksView(state), url) })],
  ['/slaves', ({ state }) => agentsView(state)],
  ['/frameworks', ({ state }) => frameworksView(state)],
  ['/version', () => versionView()],
  ['/local/history', ({ state }) => historyView(state)],
]);

/** The master's HTTP server, listening. `leader` decides whether it answers or points on. */
export async function serveMaster(
  address: { readonly ip: string; readonly port: number },
  open: (port: number) => { readonly master: RunningMaster; readonly leader: () => Leader },
): Promise<{ readonly server: Server; readonly port: number }> {
  let opened: ReturnType<typeof open> | undefined;
  const server = createServer(
    { requestTimeout: 0, keepAliveTimeout: 600_000 },
    (request, response) => {
      if (opened === undefined) response.destroy();
      else route(opened.master, opened.leader(), request, response);
    },
  );
  server.on('upgrade', (request: IncomingMessage, socket, head) => {
    if (request.url !== '/local/agent' || opened === undefined || opened.leader().kind !== 'self') {
      socket.destroy();
      return;
    }
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: drey-agent\r\nConnection: Upgrade\r\n\r\n',
    );
    if (head.length > 0) socket.unshift(head);
    opened.master.acceptAgent(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.ip, resolve);
  });
  const { port } = server.address() as AddressInfo;
  opened = open(port);
  return { server, port };
}

function route(
  master: RunningMaster,
  leader: Leader,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const url = URL.parse(request.url ?? '/', 'http://mesos');
  if (url === null) {
    answer(response, { status: 400, body: '400 Bad Request.' });
    return;
  }
  const path = url.pathname.replace(/^\/master(?=\/)/, '');
  if (path === '/health') {
    answer(response, { status: 200, body: '' });
  } else if (leader.kind === 'none') {
    answer(response, { status: 503, body: 'No leader elected' });
  } else if (path === '/redirect' || leader.kind === 'other') {
    redirect(master, leader, path, response);
  } else if (request.method === 'POST' || path.startsWith('/api/v1')) {
    write(master, path, request, response);
  } else {
    read(master, path, url, response);
  }
}

/** As a real one: scheme-relative, with `/master` before the path that was asked for. */
function redirect(
  master: RunningMaster,
  leader: Leader,
  path: string,
  response: ServerResponse,
): void {
  const { ip, port } = master.state.options;
  const address = leader.kind === 'other' ? leader.address : `${ip}:${port}`;
  const kept = path === '/redirect' ? '' : `/master${path}`;
  response.writeHead(307, { Location: `//${address}${kept}`, 'Content-Length': 0 });
  response.end();
}

function read(master: RunningMaster, path: string, url: URL, response: ServerResponse): void {
  const reader = readers.get(path);
  if (reader === undefined) {
    answer(response, { status: 404, body: '404 Not Found.' });
    return;
  }
  const bytes = Buffer.from(JSON.stringify(reader(master, url)));
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': bytes.length });
  response.end(bytes);
}

function write(
  master: RunningMaster,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (!['/api/v1/scheduler', '/api/v1', '/teardown'].includes(path)) {
    answer(response, { status: 404, body: '404 Not Found.' });
    return;
  }
  if (request.method !== 'POST') {
    const body = `405 Method Not Allowed. Expecting one of { 'POST' }, but received '${request.method}'.`;
    response.setHeader('Allow', 'POST');
    answer(response, { status: 405, body });
    return;
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  request.on('data', (chunk: Uint8Array) => {
    length += chunk.length;
    if (length > bodyLimitBytes) request.destroy();
    else chunks.push(chunk);
  });
  request.on('end', () => {
    try {
      perform(master, path, request, Buffer.concat(chunks), response);
    } catch (error) {
      if (!(error instanceof BadRequest)) throw error;
      answer(response, { status: error.status, body: error.message });
    }
  });
}

function perform(
  master: RunningMaster,
  path: string,
  request: IncomingMessage,
  body: Uint8Array,
  response: ServerResponse,
): void {
  if (path === '/api/v1/scheduler') {
    schedulerCall(master, request, body, response);
  } else if (path === '/api/v1') {
    operatorCall(master, request, body, response);
  } else {
    const form = new URLSearchParams(Buffer.from(body).toString('utf8'));
    answer(response, master.teardown(form.get('frameworkId') ?? ''));
  }
}

/** `?limit=` and `?offset=` of /tasks; without a limit all of them, where a real one gives 100. */
function limited(tasks: readonly unknown[], url: URL): readonly unknown[] {
  const limit = Number(url.searchParams.get('limit') ?? tasks.length);
  const offset = Number(url.searchParams.get('offset') ?? 0);
  return tasks.slice(offset, offset + limit);
}
