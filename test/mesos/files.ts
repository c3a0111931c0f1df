import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** A web server with a few files, which counts how often each was asked for. */
export interface FileServer {
  readonly url: string;
  readonly asked: ReadonlyMap<string, number>;
  /** Lets the answers of `/slow` go. */
  release(): void;
  stop(): Promise<void>;
}

/** Serves hello.txt, run.sh, pkg.tar.gz (with `pkg/inner.txt`), big.bin, moved (a redirect) and slow. */
export async function serveTestFiles(dir: string): Promise<FileServer> {
  mkdirSync(join(dir, 'pkg'), { recursive: true });
  writeFileSync(join(dir, 'pkg', 'inner.txt'), 'inner\n');
  execFileSync('tar', ['-C', dir, '-czf', join(dir, 'pkg.tar.gz'), 'pkg']);
  const files = new Map<string, Uint8Array>([
    ['/hello.txt', Buffer.from('hello from the web\n')],
    ['/run.sh', Buffer.from('#!/bin/sh\necho run.sh ran; cat hello.txt; cat pkg/inner.txt\n')],
    ['/pkg.tar.gz', readFileSync(join(dir, 'pkg.tar.gz'))],
    ['/big.bin', Buffer.alloc(2 * 1024 * 1024, 7)],
  ]);
  const asked = new Map<string, number>();
  const waiting: (() => void)[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.set(path, (asked.get(path) ?? 0) + 1);
    if (path === '/moved') {
      response.writeHead(302, { Location: '/hello.txt' }).end();
    } else if (path === '/slow') {
      waiting.push(() => response.end('slow\n'));
    } else {
      const bytes = files.get(path);
      response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    release: () => {
      for (const go of waiting.splice(0)) go();
    },
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
