/** A stream that is not RecordIO, or a record beyond the limit: nothing after it can be trusted. */
export class RecordIoError extends Error {
  readonly code = 'DREY_RECORD_IO';
  readonly remedy = 'retry';
  /** Of the offending byte, counted from the begin of the stream. */
  readonly offset: number;
  /** The records of the same chunk that were complete before it. */
  readonly before: readonly Uint8Array[];

  constructor(reason: string, offset: number, before: readonly Uint8Array[]) {
    super(`RecordIO: ${reason} at byte ${offset} of the stream`);
    this.name = 'RecordIoError';
    this.offset = offset;
    this.before = before;
  }
}

const newline = 0x0a;
const zero = 0x30;
const nine = 0x39;
/** As many as the largest 64-bit integer has. */
const mostDigits = 20;
const firstAllocation = 4096;

/**
 * Takes Mesos' event stream apart: decimal length, newline, that many bytes, and so on. A record
 * that lies within one chunk is returned as a view of that chunk.
 */
export class RecordReader {
  readonly #limitBytes: number;
  /** Bytes of the stream before the chunk that is being read. */
  #consumed = 0;
  #digits = 0;
  #length = 0;
  /** The record of which only a part has come; room grows with what comes, not with what is announced. */
  #partial: Uint8Array | undefined;
  #filled = 0;
  #failure: RecordIoError | undefined;

  /** A record longer than the limit is refused at its length line. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** @throws RecordIoError once the stream is no RecordIO, and for every chunk after that. */
  push(chunk: Uint8Array): readonly Uint8Array[] {
    if (this.#failure !== undefined) throw this.#failure;
    const records: Uint8Array[] = [];
    let at = 0;
    while (at < chunk.length) {
      at =
        this.#partial === undefined
          ? this.#readLength(chunk, at, records)
          : this.#fill(this.#partial, chunk, at, records);
    }
    this.#consumed += chunk.length;
    return records;
  }

  /** Reads digits up to the newline, and the record behind them if the chunk holds all of it. */
  #readLength(chunk: Uint8Array, from: number, records: Uint8Array[]): number {
    let at = from;
    for (; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (byte === newline) return this.#begin(chunk, at, records);
      if (byte < zero || byte > nine) this.#fail('a length is decimal digits', at, records);
      if (++this.#digits > mostDigits) this.#fail('a length without end', at, records);
      this.#length = this.#length * 10 + (byte - zero);
      if (this.#length > this.#limitBytes) {
        this.#fail(`a record of more than ${this.#limitBytes} bytes`, at, records);
      }
    }
    return at;
  }

  #begin(chunk: Uint8Array, newlineAt: number, records: Uint8Array[]): number {
    if (this.#digits === 0) this.#fail('an empty length', newlineAt, records);
    const start = newlineAt + 1;
    const end = start + this.#length;
    if (end > chunk.length) {
      this.#partial = new Uint8Array(Math.min(this.#length, firstAllocation));
      this.#filled = 0;
      return start;
    }
    records.push(chunk.subarray(start, end));
    this.#reset();
    return end;
  }

  #fill(partial: Uint8Array, chunk: Uint8Array, from: number, records: Uint8Array[]): number {
    const piece = chunk.subarray(from, from + this.#length - this.#filled);
    const room = this.#grown(partial, this.#filled + piece.length);
    room.set(piece, this.#filled);
    this.#filled += piece.length;
    this.#partial = room;
    if (this.#filled === this.#length) {
      records.push(room.subarray(0, this.#length));
      this.#reset();
    }
    return from + piece.length;
  }

  /** Doubling keeps the cost of many small chunks linear. */
  #grown(partial: Uint8Array, needed: number): Uint8Array {
    if (needed <= partial.length) return partial;
    const larger = new Uint8Array(Math.min(this.#length, Math.max(needed, partial.length * 2)));
    larger.set(partial.subarray(0, this.#filled));
    return larger;
  }

  #reset(): void {
    this.#partial = undefined;
    this.#length = 0;
    this.#digits = 0;
  }

  #fail(reason: string, at: number, records: readonly Uint8Array[]): never {
    this.#failure = new RecordIoError(reason, this.#consumed + at, records);
    throw this.#failure;
  }
}

/** One record as it travels: its length in decimal, a newline, its bytes. */
export function frameRecord(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${bytes.length}\n`, 'latin1'), bytes]);
}
