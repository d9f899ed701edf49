import { open } from 'node:fs/promises';
import { SyncError } from '../shared/error.js';
import { Asked, loadCore } from './core.js';
import { refused } from './receiving.js';
import type { FileHandle } from 'node:fs/promises';
import type { Chunks, Core, Sender } from './core.js';

/** Bytes read and cut at once. */
const READ = 1 << 20;
/** Bytes of messages, and messages, that are made at once. */
const PIECE = 1 << 17;
const MESSAGES = 1 << 10;
/** Hashes held of a receiver while the file is still being cut: those of a version of some 200 MB. A longer list waits for the cutting. */
const ROOM = 1 << 14;
/** Chunks of a file. */
const MAX_CHUNKS = 1 << 20;
/** With what a message begins that is a hash alone. */
const HASH = 32;

/** How a file is cut, by the options of npm rabin; 0 or nothing means a default. */
export interface RabinOptions {
  /** log2 of the bytes after which a cut is found on average, beyond `min`. Default: 12. */
  bits?: number | undefined;
  /** The least length of a chunk but the last, in bytes. Default: 8,192. */
  min?: number | undefined;
  /** The greatest length of a chunk, in bytes. Default: 32,768. */
  max?: number | undefined;
}

/** A chunk of the file: where its bytes are. */
export interface Indexed {
  readonly hash: string;
  readonly offset: number;
  readonly length: number;
}

/** A file on its way out. What is in memory of it is a list of its chunks, and a piece. */
export interface Outgoing {
  /** Takes the receiver's list; `true` once it is complete. What comes after it means nothing. */
  listen(piece: Uint8Array): Promise<boolean>;
  /** The receiver has ended its side, which it must not do before its list is complete. */
  listenEnd(): void;
  /** The next messages, and the new chunks in them; nothing at the end of the file. Waits for chunks that are not cut yet. */
  next(): Promise<{ bytes: Buffer; uploaded: Buffer[] } | undefined>;
  /** Until all chunks are known; rejects where that fails. */
  readonly indexed: Promise<void>;
  close(): Promise<void>;
}

/** Opens a file and begins to cut it. */
export async function openOutgoing(filename: string, { bits = 0, min = 0, max = 0 }: RabinOptions, onIndexed: (chunk: Indexed) => void): Promise<Outgoing> {
  const core = await loadCore();
  const chunks = attempt(() => new core.Chunks(bits, min, max));
  const file = await open(filename).catch(unreadable(filename));
  const cutting = cut(filename, file, chunks, onIndexed);
  const sender = new core.Sender(ROOM);
  const told = telling(core, filename, file, chunks, sender, cutting);
  return {
    async listen(piece) {
      sender.handleInput(piece);
      for (;;) {
        const asked = attempt(() => sender.poll());
        if (asked !== Asked.Chunks) return asked === Asked.Nothing;
        await cutting.whole;
        sender.handleChunks(chunks);
      }
    },
    listenEnd() {
      sender.handleEnd();
      attempt(() => sender.poll());
    },
    next: told,
    indexed: cutting.whole,
    async close() {
      cutting.stop();
      await cutting.whole.catch(() => {});
      await file.close();
      chunks.free();
      sender.free();
    },
  };
}

/** The cutting of a file, which goes on while chunks are sent. */
interface Cutting {
  /** Until all is cut; rejects where that fails. */
  readonly whole: Promise<void>;
  /** Until there are more than `count` chunks; `false` where there are no more. */
  more(count: number): Promise<boolean>;
  stop(): void;
}

function cut(filename: string, file: FileHandle, chunks: Chunks, onIndexed: (chunk: Indexed) => void): Cutting {
  let isWhole = false;
  let isStopped = false;
  let told = 0;
  let grown = () => {};
  let growing = new Promise<void>((resolve) => (grown = resolve));

  function tell(): void {
    for (; told < chunks.count; told += 1) {
      onIndexed({ hash: chunks.hash(told) as string, offset: chunks.offset(told) as number, length: chunks.length(told) as number });
    }
    if (MAX_CHUNKS < told) throw new SyncError('protocol', `the file has more than ${MAX_CHUNKS} chunks; cut longer ones, or sync it by driblet's own protocol`);
    grown();
    growing = new Promise((resolve) => (grown = resolve));
  }

  async function work(): Promise<void> {
    const found = await file.stat().catch(unreadable(filename));
    if (!found.isFile()) throw new SyncError('store', `${filename} cannot be sent: it is no regular file`);
    const piece = Buffer.allocUnsafe(Math.min(READ, found.size));
    for (let at = 0; at < found.size && !isStopped; ) {
      const { bytesRead } = await file.read(piece, 0, Math.min(piece.length, found.size - at), at).catch(unreadable(filename));
      if (bytesRead === 0) throw changed(filename);
      chunks.handleInput(piece.subarray(0, bytesRead));
      at += bytesRead;
      tell();
    }
    chunks.handleEnd();
    isWhole = true;
    tell();
  }

  const whole = work();
  whole.catch(() => grown()); // Whoever waits hears of it.
  return {
    whole,
    async more(count) {
      while (chunks.count <= count && !isWhole) await Promise.race([growing, whole]);
      return count < chunks.count;
    },
    stop() {
      isStopped = true;
    },
  };
}

/** What tells the file, some messages with every call. */
function telling(core: Core, filename: string, file: FileHandle, chunks: Chunks, sender: Sender, cutting: Cutting): Outgoing['next'] {
  let at = 0;
  return async () => {
    if (!(await cutting.more(at))) return undefined;
    // Chunks in a row that are all new, so that they are read at once, or all held.
    const begin = at;
    const heads: Uint8Array[] = [];
    const isNew = (head: Uint8Array | undefined) => head?.[0] !== HASH;
    let size = 0;
    for (let head = sender.head(chunks, at); head && size < PIECE && heads.length < MESSAGES; head = sender.head(chunks, at)) {
      if (0 < heads.length && isNew(head) !== isNew(heads[0])) break;
      heads.push(head);
      size += isNew(head) ? (chunks.length(at) as number) : 0;
      at += 1;
    }
    if (size === 0) return { bytes: Buffer.concat(heads), uploaded: [] };
    const read = Buffer.allocUnsafe(size);
    const { bytesRead } = await file.read(read, 0, size, chunks.offset(begin) as number).catch(unreadable(filename));
    if (bytesRead !== size) throw changed(filename);
    const uploaded: Buffer[] = [];
    const pieces = heads.flatMap((head, index) => {
      const start = (chunks.offset(begin + index) as number) - (chunks.offset(begin) as number);
      const chunk = read.subarray(start, start + (chunks.length(begin + index) as number));
      // Original receivers would store it without a look.
      if (core.hash(chunk) !== chunks.hash(begin + index)) throw changed(filename);
      uploaded.push(chunk);
      return [head, chunk];
    });
    return { bytes: Buffer.concat(pieces), uploaded };
  };
}

function attempt<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw refused(error);
  }
}

function unreadable(filename: string): (error: unknown) => never {
  return (error) => {
    throw new SyncError('store', `${filename} cannot be read: ${error instanceof Error ? error.message : error}`, { cause: error });
  };
}

function changed(filename: string): SyncError {
  return new SyncError('store', `${filename} was changed while it was sent; send it again, and replace files by renaming others over them`);
}
