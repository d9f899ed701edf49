import type { Held, Range } from './store.js';

/* A file as pieces of one length, of which the last may be shorter: read at random with some at hand, written in batches. */

/** How long a piece is that is read: Chromium reads 1 MiB at half the speed. */
export const PIECE = 1 << 22;
/** How many bytes are stored at once. */
export const BATCH = 1 << 24;
/** How many of what is held are kept at hand, those used last: copies and their references come from all over a file, some places again and again. */
const CACHED = 32;

/** Reads a file by its pieces; `load` gives nothing where one is lost. */
export function readingPieces(length: number, load: (index: number) => Promise<Uint8Array | undefined>): Pick<Held, 'ready' | 'read'> {
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

  /** Makes a piece the one used last; whether it is at hand. */
  function use(index: number): boolean {
    const piece = pieces.get(index);
    if (!piece) return false;
    pieces.delete(index);
    pieces.set(index, piece);
    return true;
  }

  /** While a file is read in order the next piece comes, after the last, for two at once are slower. */
  function ahead(last: number): void {
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
      if (missing.length === 0) return void ahead(last);
      return Promise.all(missing.map(bring)).then(() => ahead(last));
    },
    read: readerOfPieces(PIECE, (index) => pieces.get(index)),
  };
}

/** Reads at random across pieces of a length; ends where `pieceAt` gives none. */
export function readerOfPieces(length: number, pieceAt: (index: number) => Uint8Array | undefined): Held['read'] {
  return (into, at) => {
    let filled = 0;
    while (filled < into.length) {
      const from = at + filled;
      const part = pieceAt(Math.floor(from / length))?.subarray(from % length).subarray(0, into.length - filled);
      if (!part || part.length === 0) break;
      into.set(part, filled);
      filled += part.length;
    }
    return filled;
  };
}

/** A file's pieces while they are written. */
export interface Pieces {
  /** Takes bytes; the promise, if there is one, is for who would go too fast: one batch is stored while the next fills. */
  write(bytes: Uint8Array): Promise<void> | undefined;
  /** Waits until all are stored; gives those that were not, for want of room. */
  flush(): Promise<Blob[]>;
}

/** Writes pieces of a length. `store` takes some and the index of the first, and tells whether there was room; after it was not it is called no more. */
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
    storing.catch(() => {}); // Who waits for it hears of it.
  }

  return {
    write(bytes) {
      for (let at = 0; at < bytes.length; ) {
        const part = bytes.subarray(at, at + length - filled);
        parts.push(new Blob([part as Uint8Array<ArrayBuffer>])); // It copies.
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
