import { readerOfBuffers } from './pieces.js';
import type { Begun, Held, Journal, Lease, Pair, Snapshot, Staging, VersionInfo } from './store.js';

/** The warning for a version for which there was no room. */
export const NO_ROOM = 'there was no room to store this version: it is in memory only';

/** A snapshot in memory. It lives as long as the worker. */
export function memorySnapshot(): Snapshot {
  let head: (VersionInfo & { pieces: Uint8Array<ArrayBuffer>[] }) | undefined;
  let begun: { pair: Pair; pieces: Uint8Array[] } | undefined;

  function journal(pair: Pair, came: Uint8Array[]): Journal {
    return {
      async append(bytes) {
        came.push(bytes.slice());
      },
      async keep() {
        begun = { pair, pieces: came };
      },
      async discard() {
        begun = undefined;
      },
    };
  }

  return {
    async held(): Promise<Held | undefined> {
      return head && heldInMemory(head, head.pieces);
    },
    async drop() {
      head = undefined;
    },
    async begun(): Promise<Begun | undefined> {
      if (!begun) return undefined;
      const { pair, pieces } = begun;
      return {
        ...pair,
        length: lengthOf(pieces),
        read: readerOfBuffers(pieces),
        proceed: () => journal(pair, [...pieces]),
      };
    },
    journal: (pair) => journal(pair, []),
    async stage(target): Promise<Staging> {
      const pieces: Uint8Array<ArrayBuffer>[] = [];
      return {
        write(verified) {
          pieces.push(verified.slice());
        },
        async commit() {
          head = { ...target, pieces };
          return memoryLease(target, pieces);
        },
        async discard() {},
      };
    },
    async lease() {
      if (!head) throw new Error('nothing is stored; sync again');
      return memoryLease(head, head.pieces);
    },
    async borrow() {
      return head && memoryLease(head, head.pieces);
    },
    async tidy() {},
  };
}

/** A snapshot that writes to memory, and reads from the store until there is a version in memory. */
export function inMemoryBeside(stored: Snapshot, memory: Snapshot): Snapshot {
  let isDropped = false;
  const held = async () =>
    (await memory.held()) ?? (isDropped ? undefined : await stored.held().catch(() => undefined));
  return {
    ...memory,
    held,
    async drop() {
      isDropped = true;
      await memory.drop();
    },
    lease: async () => ((await memory.held()) ? memory.lease() : { ...(await stored.lease()), isInStore: true }),
    borrow: async () => (await memory.borrow()) ?? stored.borrow(),
  };
}

/** A lease of bytes that are in memory only. */
export function memoryLease(target: VersionInfo, pieces: Uint8Array<ArrayBuffer>[], warning?: string): Lease {
  const { version, length } = target;
  return {
    version,
    length,
    blob: async () => new Blob(pieces),
    held: async () => heldInMemory(target, pieces),
    release() {},
    ...(warning === undefined ? {} : { warning }),
  };
}

function heldInMemory({ version, length, outboard }: VersionInfo, pieces: Uint8Array[]): Held {
  return { version, length, outboard, read: readerOfBuffers(pieces), close() {} };
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}
