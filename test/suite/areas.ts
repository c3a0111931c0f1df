import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** One folder of test/ that holds test files. */
export interface Area {
  readonly name: string;
  readonly files: readonly string[];
}

/** Cheap and basic areas first: what they find explains what later ones would find. */
const order = [
  'proto',
  'config',
  'docs',
  'functions',
  'store',
  'bus',
  'runner',
  'gateway',
  'mesos',
  'driver',
  'limits',
  'appmaster',
  'simulation',
  'faults',
  'journeys',
];

/** Areas that start no servers or few: two of their files may run at once. */
const light = new Set(['proto', 'config', 'docs', 'functions']);

/** Every area below `root`, in the order in which they are run. */
export function areasOf(root: string): readonly Area[] {
  const folders = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders
    .map(({ name }) => ({ name, files: testFiles(join(root, name)) }))
    .filter((area) => area.files.length > 0)
    .sort((a, b) => rank(a.name) - rank(b.name) || a.name.localeCompare(b.name));
}

/** How many files of an area may run at the same time. */
export function concurrencyOf(area: Area): number {
  return light.has(area.name) ? 2 : 1;
}

function testFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .map((name) => join(folder, name));
}

function rank(name: string): number {
  const position = order.indexOf(name);
  return position < 0 ? order.length : position;
}
