import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import protobuf from 'protobufjs/light.js';
import descriptor from '#proto/mesos/descriptor.json' with { type: 'json' };
import { generate } from '#proto/mesos/generate.ts';

const protoFolder = join(import.meta.dirname, '..', '..', 'proto', 'mesos');
const table = readFileSync(join(import.meta.dirname, '..', 'recordings', 'api-v1.tsv'), 'utf8')
  .split('\n')
  .slice(1)
  .filter((row) => row !== '');

/** The rows of the table that the descriptor would give. */
function rowsOf(namespace: protobuf.NamespaceBase): readonly string[] {
  return namespace.nestedArray.flatMap((nested) => [
    ...(nested instanceof protobuf.Enum ? enumRows(nested) : []),
    ...(nested instanceof protobuf.Type ? messageRows(nested) : []),
    ...(nested instanceof protobuf.Namespace ? rowsOf(nested) : []),
  ]);
}

function enumRows(found: protobuf.Enum): readonly string[] {
  return Object.entries(found.values).map(([name, number]) =>
    ['enum', fullName(found), number, '-', '-', name, '-'].join('\t'),
  );
}

function messageRows(found: protobuf.Type): readonly string[] {
  if (found.fieldsArray.length === 0)
    return [['message', fullName(found), '-', '-', '-', '-', '-'].join('\t')];
  return found.fieldsArray.flatMap(fieldRows);
}

function fieldRows(field: protobuf.Field): readonly string[] {
  const parent = field.parent === null ? '' : fullName(field.parent);
  if (!field.map) return [row(parent, field, labelOf(field), typeOf(field))];
  const entry = `${parent}.${entryName(field.name)}`;
  return [
    row(parent, field, 'repeated', entry),
    ['field', entry, 1, 'optional', 'string', 'key', '-'].join('\t'),
    ['field', entry, 2, 'optional', typeOf(field), 'value', '-'].join('\t'),
  ];
}

function row(parent: string, field: protobuf.Field, label: string, type: string): string {
  return ['field', parent, field.id, label, type, field.name, notesOf(field)].join('\t');
}

/** How protobuf names the message behind a map. */
function entryName(field: string): string {
  return `${field.replace(/(^|_)([a-z])/g, (_, __, letter: string) => letter.toUpperCase())}Entry`;
}

function labelOf(field: protobuf.Field): string {
  if (field.repeated) return 'repeated';
  return field.required ? 'required' : 'optional';
}

function typeOf(field: protobuf.Field): string {
  return field.resolvedType === null ? field.type : fullName(field.resolvedType);
}

function notesOf(field: protobuf.Field): string {
  const options: Readonly<Record<string, unknown>> = field.options ?? {};
  const notes = [
    ...(options.default === undefined ? [] : [`default=${options.default}`]),
    ...(options.deprecated === true ? ['deprecated'] : []),
    ...(field.partOf === null ? [] : [`oneof=${field.partOf.name}`]),
  ];
  return notes.join(',') || '-';
}

function fullName(found: protobuf.ReflectionObject): string {
  return found.fullName.slice(1);
}

/** The rows of the .proto files themselves: path, package, imports. */
function fileRows(): readonly string[] {
  return readdirSync(protoFolder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.name.endsWith('.proto'))
    .map((entry) => {
      const path = relative(protoFolder, join(entry.parentPath, entry.name));
      const text = readFileSync(join(protoFolder, path), 'utf8');
      const imports = [...text.matchAll(/^import "(.*)";$/gm)].map((match) => match[1]);
      const below = path.startsWith('google/') ? path : `mesos/${path}`;
      const name = /^package (.*);$/m.exec(text)?.[1];
      return `file\t${name}\t-\t-\t-\t${below}\timports=${imports.join(';') || '-'}`;
    });
}

test('mesos api: descriptor and table hold the same fields, enum values and messages', () => {
  const root = protobuf.Root.fromJSON(descriptor);
  root.resolveAll();
  const ours = new Set(rowsOf(root));
  const theirs = new Set(table.filter((line) => !line.startsWith('file\t')));
  const missing = [...theirs].filter((line) => !ours.has(line));
  const extra = [...ours].filter((line) => !theirs.has(line));
  assert.deepEqual({ missing, extra }, { missing: [], extra: [] });
  assert.equal([...ours].filter((line) => line.startsWith('field\t')).length, 1230);
  assert.equal([...ours].filter((line) => line.startsWith('enum\t')).length, 442);
});

test('mesos api: files, packages and imports are those of Mesos', () => {
  const theirs = table.filter((line) => line.startsWith('file\t'));
  assert.deepEqual([...fileRows()].sort(), theirs.sort());
});

test('mesos api: the generated files are up to date (npm run proto)', () => {
  for (const [file, text] of Object.entries(generate())) {
    assert.ok(readFileSync(join(protoFolder, file), 'utf8') === text, `${file} is out of date`);
  }
});
