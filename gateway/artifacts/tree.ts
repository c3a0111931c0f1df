import { createHash } from 'node:crypto';
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** One file on its way into an archive. */
export interface ShippedFile {
  /** Its place in the sandbox, such as `lib/flink-dist.jar`. */
  readonly name: string;
  readonly path: string;
  readonly size: number;
  readonly modifiedMs: number;
  /** Permissions in the sandbox. */
  readonly mode: number;
}

/** All files below a directory, symbolic links followed, in ascending order of their names. */
export function filesBelow(directory: string, name: string): readonly ShippedFile[] {
  const files: ShippedFile[] = [];
  const walk = (path: string, at: string, above: readonly string[]): void => {
    const real = realpathSync(path);
    if (above.includes(real)) return; // a link to a directory above it
    for (const entry of readdirSync(path).sort()) {
      const inner = join(path, entry);
      const stats = statSync(inner, { throwIfNoEntry: false });
      if (stats === undefined) continue; // a link to nowhere
      if (stats.isDirectory()) walk(inner, `${at}/${entry}`, [...above, real]);
      else if (stats.isFile()) files.push(fileOf(inner, `${at}/${entry}`));
    }
  };
  walk(directory, name, []);
  return files;
}

/** One file, under the name that it gets. */
export function fileOf(path: string, name: string): ShippedFile {
  const { size, mtimeMs, mode } = statSync(path);
  return { name, path, size, modifiedMs: mtimeMs, mode: (mode & 0o100) === 0 ? 0o644 : 0o755 };
}

/** Changes when any file's name, size, time or mode does, without reading the files. */
export function fingerprintOf(files: readonly ShippedFile[]): string {
  const hash = createHash('sha256').update('tar 1\n');
  for (const { name, size, modifiedMs, mode } of files) {
    hash.update(JSON.stringify([name, size, modifiedMs, mode]));
  }
  return hash.digest('hex');
}
