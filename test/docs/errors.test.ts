import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');
const rooms = ['proto', 'runtime', 'gateway', 'functions', 'deploy'];

/** A code, and the remedy where it stands beside it: an answer over the bus has none. */
type Listed = readonly [code: string, remedy: string | undefined];

const codes =
  /\bcode(?::\s*\w+)? ?(?:[=:]|\?\?) '(DREY_[A-Z_]+)'(?:;\s+readonly remedy = '([a-z-]+)')?/g;

function inSources(): Listed[] {
  const files = rooms.flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(root, room, name)),
  );
  const found = files.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(codes)].map(
      ([, code = '', remedy]): Listed => [code, remedy],
    ),
  );
  return [...new Map(found)].toSorted(byCode);
}

function inList(): Listed[] {
  const text = readFileSync(join(root, 'docs', 'errors.md'), 'utf8');
  return [...text.matchAll(/^\| `(DREY_[A-Z_]+)` \| (\S+) \|/gm)]
    .map(([, code = '', remedy]): Listed => [code, remedy])
    .toSorted(byCode);
}

function byCode([a]: Listed, [b]: Listed): number {
  return a < b ? -1 : 1;
}

test('docs: every error code in the sources is listed, and every listed one exists', () => {
  const codesOf = (listed: readonly Listed[]) => listed.map(([code]) => code);
  assert.deepEqual(codesOf(inList()), codesOf(inSources()));
});

test('docs: the remedies of the list are those of the code', () => {
  const remedies = new Map(inList());
  const known = inSources().filter(([, remedy]) => remedy !== undefined);
  assert.deepEqual(
    known.map(([code]): Listed => [code, remedies.get(code)]),
    known,
  );
  const without = inSources().filter(([, remedy]) => remedy === undefined);
  assert.deepEqual(without, [['DREY_INTERNAL', undefined]]);
});
