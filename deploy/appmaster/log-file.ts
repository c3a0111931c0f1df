import { closeSync, existsSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

/** A log beyond this many bytes becomes `<name>.1`, in place of the one before. */
const mostBytes = 50 * 2 ** 20;

/** What a process writes, kept in a file of bounded size. */
export class LogFile {
  readonly #path: string;
  readonly #mostBytes: number;
  readonly #failed: (why: string) => void;
  #told = false;
  #descriptor: number;
  #size: number;

  /** `failed` hears once when the disk takes no more: a log is not worth the process. */
  constructor(path: string, failed: (why: string) => void, most = mostBytes) {
    this.#path = path;
    this.#failed = failed;
    this.#mostBytes = most;
    this.#descriptor = openSync(path, 'a', 0o600);
    this.#size = fstatSync(this.#descriptor).size;
  }

  write(text: string): void {
    try {
      if (this.#size > this.#mostBytes) this.#startAnew();
      this.#size += writeSync(this.#descriptor, text);
    } catch (error) {
      if (!this.#told) this.#failed(`${this.#path}: ${(error as Error).message}`);
      this.#told = true;
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #startAnew(): void {
    if (existsSync(this.#path)) renameSync(this.#path, `${this.#path}.1`);
    // Closed only now: a number that was given back may be another file's by the next write.
    const next = openSync(this.#path, 'a', 0o600);
    closeSync(this.#descriptor);
    this.#descriptor = next;
    this.#size = 0;
  }
}
