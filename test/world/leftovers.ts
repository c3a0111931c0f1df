import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** One process of this machine that belongs to a folder. */
export interface Leftover {
  readonly pid: number;
  readonly command: string;
}

/**
 * Processes that work in the folder, name it on their command line, or keep their state there (functions know it
 * from their environment alone), this one and its parent apart.
 */
export function leftoversOf(dir: string): readonly Leftover[] {
  const found: Leftover[] = [];
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const pid = Number(name);
    if (pid === process.pid || pid === process.ppid) continue;
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      const cwd = readlinkSync(`/proc/${pid}/cwd`);
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
      const keepsState = `\0${environment}`.includes(`\0DREY_STATE_DIR=${dir}`);
      if (command !== '' && (cwd.startsWith(dir) || command.includes(dir) || keepsState)) {
        found.push({ pid, command });
      }
    } catch (error) {
      // It ended while we looked, or belongs to the kernel.
      if (!/ENOENT|EACCES|ESRCH/.test(String(error))) throw error;
    }
  }
  return found;
}

/** SIGKILL for every process of the folder: tasks that an agent of the local Mesos left to run. */
export function endLeftovers(dir: string): void {
  for (const { pid } of leftoversOf(dir)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
