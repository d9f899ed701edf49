import type { Held, Range } from './store.js';

/*
 * A file in pieces of one length, of which the last may be shorter. Pieces are read at random through a cache, and
 * written in batches.
 */

/** Length of the pieces that are read. Chromium reads pieces of 1 MiB at half the speed. */
export const PIECE = 1 << 22;
/** How many bytes are stored at once. */
export const BATCH = 1 << 24;
/**
 * How many pieces are cached, those used last. Copies and their references come from all over a file, and from some
 * places again and again.
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

  /** While a file is read in order, loads the next piece after the last one. Two at the same time are slower. */
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

/** Reads at random across pieces of a length. Stops where `pieceAt` returns undefined. */
export function readerOfPieces(length: number, pieceAt: (index: number) => Uint8Array | undefined): Held['read'] {
  return (into, at) => {
    let filled = 0;
    while (filled < into.length) {
      const from = at + filled;
      const part = pieceAt(Math.floor(from / length))
        ?.subarray(from % length)
        .subarray(0, into.length - filled);
      if (!part || part.length === 0) break;
      into.set(part, filled);
      filled += part.length;
    }
    return filled;
  };
}

/** Writes the pieces of a file. */
export interface Pieces {
  /**
   * Takes bytes. Callers that wait for the promise, if there is one, are slowed to the speed of the store: one batch is
   * stored while the next fills.
   */
  write(bytes: Uint8Array): Promise<void> | undefined;
  /** Waits until all pieces are stored. Returns those for which there was no room. */
  flush(): Promise<Blob[]>;
}

/**
 * Writes pieces of a length. `store` gets some pieces and the index of the first, and returns whether there was room.
 * It is not called again after there was none.
 */
export function writingPieces(length: number, store: (from: number, pieces: Blob[]) => Promise<boolean>): Pieces {
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
