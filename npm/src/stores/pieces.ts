import type { Held, Range, Writer } from './store.js';

/*
 * A file in pieces of one length, of which the last may be shorter. Pieces are read at random through a cache, and
 * written in batches.
 */

/** Length of the pieces that are read. In Chromium, pieces of 1 MiB have half the speed. */
export const PIECE = 1 << 22;
/** How many bytes are stored at once. */
export const BATCH = 1 << 24;
/**
 * How many pieces are cached: those that were used last. A delta copies from all parts of a file, and from some of them
 * many times.
 */
const CACHED = 32;

/** Reads a file by its pieces. `load` returns undefined for a piece that was lost. */
export function readingPieces(
  length: number,
  load: (index: number) => Promise<Uint8Array | undefined>,
): Pick<Held, 'ready' | 'read'> {
  const pieces = new Map<number, Uint8Array>();
  const coming = new Map<number, Promise<void>>();

  function bring(index: number): Promise<void> {
    const known = coming.get(index);
    if (known) return known;
    const loading = load(index).then((bytes) => {
      pieces.set(index, bytes ?? new Uint8Array());
      coming.delete(index);
    });
    coming.set(index, loading);
    return loading;
  }

  /** Marks a piece as used last. Returns whether it is cached. */
  function use(index: number): boolean {
    const piece = pieces.get(index);
    if (!piece) return false;
    pieces.delete(index);
    pieces.set(index, piece);
    return true;
  }

  /** Loads the next piece if the file is read in order. Loading two pieces at the same time is slower. */
  function loadAhead(last: number): void {
    const next = last + 1;
    const inOrder = last === 0 || pieces.has(last - 1);
    if (inOrder && !pieces.has(next) && next * PIECE < length) void bring(next);
  }

  return {
    ready(ranges: readonly Range[]) {
      const wanted = new Set<number>();
      for (const [start, end] of ranges) {
        for (let index = Math.floor(start / PIECE); index * PIECE < end; index += 1) wanted.add(index);
      }
      const missing = [...wanted].filter((index) => !use(index));
      for (const index of [...pieces.keys()]) {
        if (pieces.size + missing.length < CACHED) break;
        if (!wanted.has(index)) pieces.delete(index);
      }
      const last = Math.max(...wanted);
      if (missing.length === 0) return void loadAhead(last);
      return Promise.all(missing.map(bring)).then(() => loadAhead(last));
    },
    read: readerOfPieces(PIECE, (index) => pieces.get(index)),
  };
}

/** Reads at random across pieces of one length. Stops where `pieceAt` returns undefined. */
export function readerOfPieces(length: number, pieceAt: (index: number) => Uint8Array | undefined): Held['read'] {
  return readerOf((at) => pieceAt(Math.floor(at / length))?.subarray(at % length));
}

/** Reads at random across buffers of any lengths. */
export function readerOfBuffers(buffers: readonly Uint8Array[]): Held['read'] {
  return readerOf((at) => {
    let start = 0;
    for (const buffer of buffers) {
      if (at < start + buffer.length) return buffer.subarray(at - start);
      start += buffer.length;
    }
    return undefined;
  });
}

/** Reads at random. `bytesFrom` returns some of the bytes from an offset on; nothing at the end, or if they were lost. */
function readerOf(bytesFrom: (at: number) => Uint8Array | undefined): Held['read'] {
  return (into, at) => {
    let filled = 0;
    while (filled < into.length) {
      const part = bytesFrom(at + filled)?.subarray(0, into.length - filled);
      if (!part?.length) break;
      into.set(part, filled);
      filled += part.length;
    }
    return filled;
  };
}

/** Writes a file in pieces. One batch is stored while the next one fills. */
export interface PieceWriter extends Writer {
  /** Waits until all pieces are stored. Returns those for which there was no room. */
  flush(): Promise<Blob[]>;
}

/**
 * Cuts a file into pieces of `length` bytes and writes them. `store` gets consecutive pieces and the index of the first
 * one. It returns `false` if there was no room, and is not called again then.
 */
export function writingPieces(length: number, store: (from: number, pieces: Blob[]) => Promise<boolean>): PieceWriter {
  const left: Blob[] = [];
  let parts: Blob[] = [];
  let filled = 0;
  let batch: Blob[] = [];
  let from = 0;
  let storing = Promise.resolve();

  function finish(): void {
    if (filled === 0) return;
    batch.push(new Blob(parts));
    [parts, filled] = [[], 0];
  }

  function storeBatch(): void {
    const [first, pieces] = [from, batch];
    from += pieces.length;
    batch = [];
    storing = storing.then(async () => {
      if (0 < left.length || !(await store(first, pieces))) left.push(...pieces);
    });
    storing.catch(() => {}); // The caller that waits for it gets the error.
  }

  return {
    write(bytes) {
      for (let at = 0; at < bytes.length; ) {
        const part = bytes.subarray(at, at + length - filled);
        parts.push(new Blob([part as Uint8Array<ArrayBuffer>])); // The blob has a copy.
        filled += part.length;
        at += part.length;
        if (filled === length) finish();
      }
      if (batch.length * length < BATCH) return undefined;
      const before = storing;
      storeBatch();
      return before;
    },
    async flush() {
      finish();
      storeBatch();
      await storing;
      return left;
    },
  };
}
