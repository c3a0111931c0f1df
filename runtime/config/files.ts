import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument } from 'yaml';
import { ConfigurationError } from '../errors.ts';
import type { Setting } from './configuration.ts';
import { joinList } from './values.ts';

/** What a file holds, and what in it was not understood. */
export interface FileContents {
  readonly settings: readonly Setting[];
  readonly warnings: readonly string[];
}

/**
 * `flink-conf.yaml`, which is not YAML: each line is cut at its first `#`, split once at `": "`,
 * both halves trimmed; a line without both is skipped with a warning; the last of equal keys wins.
 */
export function parseFlinkConf(text: string, file: string): FileContents {
  const settings: Setting[] = [];
  const warnings: string[] = [];
  for (const [at, line] of text.split(/\r?\n|\r/).entries()) {
    const origin = `${file}:${at + 1}`;
    const content = (line.split('#', 1)[0] ?? '').trim();
    if (content === '') continue;
    const cut = content.indexOf(': ');
    const key = cut < 0 ? '' : content.slice(0, cut).trim();
    const value = cut < 0 ? '' : content.slice(cut + 2).trim();
    if (key === '' || value === '') {
      warnings.push(`${origin} is no key and value (a space is needed after ":"), skipped`);
    } else {
      settings.push({ key, value, origin });
    }
  }
  return { settings, warnings };
}

/** `config.yaml`: YAML 1.2, nested or flat; nested keys are joined by dots. @throws ConfigurationError */
export function parseConfigYaml(text: string, file: string): FileContents {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, version: '1.2', schema: 'core' });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line } = lines.linePos(error.pos[0]);
    const what = error.message.split('\n', 1)[0] ?? error.code;
    throw new ConfigurationError(`${file}:${line}`, `is not valid YAML: ${what}`);
  }
  const root = document.contents as Node | null;
  if (root === null || (isScalar(root) && root.value === null)) {
    return { settings: [], warnings: [] };
  }
  const settings: Setting[] = [];
  const walk = (node: unknown, path: readonly string[]): void => {
    const key = path.join('.');
    const at = (node as Node | null)?.range?.[0] ?? 0;
    const origin = `${file}:${lines.linePos(at).line}`;
    if (isMap(node) && node.items.length > 0) {
      for (const pair of node.items) walk(pair.value, [...path, keyText(pair)]);
    } else if (isSeq(node)) {
      const list = node.items.map((item) => scalarText(item, key, origin));
      settings.push({ key, value: joinList(list), origin, list });
    } else {
      settings.push({ key, value: scalarText(node, key, origin), origin });
    }
  };
  if (!isMap(root)) throw new ConfigurationError(file, 'holds no map of keys and values');
  walk(root, []);
  return { settings, warnings: [] };
}

function keyText(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
}

/** The text of a value as it was written, so that `1.0` stays `1.0`. */
function scalarText(node: unknown, key: string, origin: string): string {
  if (!isScalar(node) || node.value === null || node.value === '') {
    throw new ConfigurationError(key, `has no value (${origin}); give it one or remove the key`);
  }
  if (typeof node.value === 'number' && /^[-+.\d]+$/.test(node.source ?? '')) {
    return node.source ?? String(node.value);
  }
  return String(node.value);
}
