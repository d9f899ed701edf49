import { open } from 'node:fs/promises';
import { SyncError } from '../shared/error.js';
import { Asked, loadStreamCore } from './core.js';
import { refused } from './receiving.js';
import type { FileHandle } from 'node:fs/promises';
import type { Chunks, StreamCore, Sender } from './core.js';

/** Bytes that are read and cut at once. */
const READ = 1 << 20;
/** Bytes of messages, and number of messages, that are made at once. */
const MESSAGE_BYTES = 1 << 17;
const MESSAGES = 1 << 10;
/**
 * How many of the receiver's hashes are kept while the file is being cut: enough for a version of some 200 MB. A longer
 * list waits until the file is cut.
 */
const KEPT_HASHES = 1 << 14;
/** The most chunks of a file. */
const MAX_CHUNKS = 1 << 20;
/** The first byte of a message that is only a hash. */
const HASH_ALONE = 32;

/** How a file is cut: the options of npm rabin. 0 means the default. */
export interface RabinOptions {
  /** log2 of the average distance of cuts, in bytes, beyond `min`. Default: 12. */
  bits?: number | undefined;
  /** The shortest chunk in bytes, except the last. Default: 8,192. */
  min?: number | undefined;
  /** The longest chunk in bytes. Default: 32,768. */
  max?: number | undefined;
}

/** A chunk of the file, and where its bytes are. */
export interface Indexed {
  readonly hash: string;
  readonly offset: number;
  readonly length: number;
}

/** A file that is being sent. Only the list of its chunks and one piece are in memory. */
export interface Outgoing {
  /** Handles the receiver's list. Resolves to `true` once it is complete; bytes after it are ignored. */
  handleList(piece: Uint8Array): Promise<boolean>;
  /** Handles the end of the receiver's side. Throws if the list is not complete. */
  handleListEnd(): void;
  /**
   * The next messages, and the new chunks in them; undefined at the end of the file. Waits for chunks that are not cut
   * yet.
   */
  next(): Promise<{ bytes: Buffer; uploaded: Buffer[] } | undefined>;
  /** Resolves when all chunks are known; rejects if that fails. */
  readonly indexed: Promise<void>;
  close(): Promise<void>;
}

/** Opens a file and starts to cut it. */
export async function openOutgoing(
  filename: string,
  { bits = 0, min = 0, max = 0 }: RabinOptions,
  onIndexed: (chunk: Indexed) => void,
): Promise<Outgoing> {
  const core = await loadStreamCore();
  const chunks = attempt(() => new core.Chunks(bits, min, max));
  const file = await open(filename).catch(unreadable(filename));
  const cutting = cut(filename, file, chunks, onIndexed);
  const sender = new core.Sender(KEPT_HASHES);
  const next = messagesOf(core, filename, file, chunks, sender, cutting);
  return {
    async handleList(piece) {
      sender.handleInput(piece);
      for (;;) {
        const asked = attempt(() => sender.poll());
        if (asked !== Asked.Chunks) return asked === Asked.Nothing;
        await cutting.whole;
        sender.handleChunks(chunks);
      }
    },
    handleListEnd() {
      sender.handleEnd();
      attempt(() => sender.poll());
    },
    next,
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

/** The cutting of a file. It continues while chunks are sent. */
interface Cutting {
  /** Resolves when the whole file is cut; rejects if that fails. */
  readonly whole: Promise<void>;
  /** Waits until there are more than `count` chunks; `false` if there are none. */
  more(count: number): Promise<boolean>;
  stop(): void;
}

function cut(filename: string, file: FileHandle, chunks: Chunks, onIndexed: (chunk: Indexed) => void): Cutting {
  let isWhole = false;
  let isStopped = false;
  let reported = 0;
  let grown = () => {};
  let growing = new Promise<void>((resolve) => (grown = resolve));

  function reportCuts(): void {
    for (; reported < chunks.count; reported += 1) {
      onIndexed({
        hash: chunks.hash(reported) as string,
        offset: chunks.offset(reported) as number,
        length: chunks.length(reported) as number,
      });
    }
    if (MAX_CHUNKS < reported)
      throw new SyncError(
        'protocol',
        `the file has more than ${MAX_CHUNKS} chunks; use longer chunks, or sync it with driblet's own protocol`,
      );
    grown();
    growing = new Promise((resolve) => (grown = resolve));
  }

  async function work(): Promise<void> {
    const found = await file.stat().catch(unreadable(filename));
    if (!found.isFile()) throw new SyncError('store', `${filename} cannot be sent: it is not a regular file`);
    const piece = Buffer.allocUnsafe(Math.min(READ, found.size));
    for (let at = 0; at < found.size && !isStopped; ) {
      const { bytesRead } = await file
        .read(piece, 0, Math.min(piece.length, found.size - at), at)
        .catch(unreadable(filename));
      if (bytesRead === 0) throw changed(filename);
      chunks.handleInput(piece.subarray(0, bytesRead));
      at += bytesRead;
      reportCuts();
    }
    chunks.handleEnd();
    isWhole = true;
    reportCuts();
  }

  const whole = work();
  whole.catch(() => grown()); // Callers that wait get the error.
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

/** Returns a function that makes the next messages of the file. */
function messagesOf(
  core: StreamCore,
  filename: string,
  file: FileHandle,
  chunks: Chunks,
  sender: Sender,
  cutting: Cutting,
): Outgoing['next'] {
  let at = 0;
  return async () => {
    if (!(await cutting.more(at))) return undefined;
    // Consecutive chunks that are all new, to be read together, or all known to the receiver.
    const begin = at;
    const heads: Uint8Array[] = [];
    const isNew = (head: Uint8Array | undefined) => head?.[0] !== HASH_ALONE;
    let size = 0;
    for (
      let head = sender.head(chunks, at);
      head && size < MESSAGE_BYTES && heads.length < MESSAGES;
      head = sender.head(chunks, at)
    ) {
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
      // browser-sync-stream would store it without verification.
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
    throw new SyncError('store', `${filename} cannot be read: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  };
}

function changed(filename: string): SyncError {
  return new SyncError(
    'store',
    `${filename} was changed while it was sent; send it again, and replace files by renaming, not by writing into them`,
  );
}
