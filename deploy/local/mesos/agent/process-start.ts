import { readFileSync } from 'node:fs';

/**
 * When the kernel started a process (field 22 of /proc/<pid>/stat), so that a reused id is not taken
 * for it; undefined when there is none. A zombie does not run any more.
 */
export function startOf(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    // There is no such process.
    return undefined;
  }
  // The name in parentheses may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}
