import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');
const rooms = ['proto', 'runtime', 'gateway', 'functions', 'deploy'];

function codesInSources(): string[] {
  const files = rooms.flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(root, room, name)),
  );
  const codes = files.flatMap((file) =>
    [
      ...readFileSync(file, 'utf8').matchAll(/\bcode(?::\s*\w+)? ?(?:[=:]|\?\?) '(DREY_[A-Z_]+)'/g),
    ].map((found) => found[1] ?? ''),
  );
  return [...new Set(codes)].toSorted();
}

function codesInList(): string[] {
  const text = readFileSync(join(root, 'docs', 'errors.md'), 'utf8');
  return [...text.matchAll(/^\| `(DREY_[A-Z_]+)` \|/gm)].map((found) => found[1] ?? '').toSorted();
}

test('docs: every error code in the sources is listed, and every listed one exists', () => {
  assert.deepEqual(codesInList(), codesInSources());
});
