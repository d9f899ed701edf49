import { fromBase64 } from '../shared/bytes.js';
import { Verifier, readThrough } from './core.js';
import { roomfuls, yieldIfDue } from '../shared/module.js';
import type { Core } from './core.js';
import type { Held, Lease, Range } from '../stores/store.js';

/*
 * Reads stored versions. A version is verified in the parts of its outboard. Returns only bytes of verified parts, and
 * verifies no part twice for one handle.
 */

/** Reads a version. Returns undefined if the stored bytes are not the version's. */
export interface VerifiedReader {
  range(range: Range): Promise<ArrayBuffer | undefined>;
  /** All bytes, which may stay on the disk. */
  blob(): Promise<Blob | undefined>;
}

/** The reader for a handle. */
export function verifiedReaderOf(lease: Lease, loaded: () => Promise<Core>): VerifiedReader {
  const right = new Set<number>();

  async function reading<T>(use: (core: Core, held: Held) => Promise<T>): Promise<T | undefined> {
    const [core, held] = await Promise.all([loaded(), lease.held()]);
    try {
      return held && (await use(core, held));
    } finally {
      held?.close();
    }
  }

  return {
    range: (range) => reading((core, held) => readRange(core, held, range, right)),
    async blob() {
      return (await reading((core, held) => isWhole(core, held, right))) ? lease.blob() : undefined;
    },
  };
}

/** Whether the stored bytes are those of their version. Parts in `right` were verified before. */
export function isWhole(core: Core, held: Held, right = new Set<number>()): Promise<boolean> {
  return verifying(held, [0, held.length], async (verifier, parts) => {
    for (const part of parts) {
      if (!(await isRight(core, held, verifier, part, right))) return false;
    }
    return true;
  });
}

function readRange(core: Core, held: Held, range: Range, right: Set<number>): Promise<ArrayBuffer | undefined> {
  const [start, end] = range;
  return verifying(held, range, async (verifier, parts) => {
    for (const part of parts) {
      const isWithin = start <= part[0] && part[1] <= end;
      if (!isWithin && !(await isRight(core, held, verifier, part, right))) return undefined;
    }
    const bytes = await bytesIn(held, range);
    await yieldIfDue();
    if (bytes?.length !== end - start) return undefined;
    for (const [from, to] of parts) {
      if (right.has(from)) continue;
      verifier.begin(from);
      for (const length of roomfuls(core, bytes.subarray(from - start, to - start))) {
        verifier.update(core.room, length);
        await yieldIfDue();
      }
      if (!verifier.isRight()) return undefined;
      right.add(from);
    }
    return bytes.buffer;
  });
}

/** Calls `work` with the parts that contain a range, at least one. */
async function verifying<T>(
  held: Held,
  [start, end]: Range,
  work: (verifier: Verifier, parts: Range[]) => Promise<T>,
): Promise<T> {
  const verifier = new Verifier(held.version, held.length, outboardBytes(held.outboard));
  try {
    const size = verifier.groupLength;
    const parts: Range[] = [];
    let at = start - (start % size);
    do {
      parts.push([at, Math.min(held.length, at + size)]);
      at += size;
    } while (at < end);
    return await work(verifier, parts);
  } finally {
    verifier.free();
  }
}

/** Whether a part is right: it was verified before, or is read and verified now. */
async function isRight(core: Core, held: Held, verifier: Verifier, part: Range, right: Set<number>): Promise<boolean> {
  if (right.has(part[0])) return true;
  verifier.begin(part[0]);
  const isRead = await readThrough(core, held, part, (length) => verifier.update(core.room, length));
  if (!isRead || !verifier.isRight()) return false;
  right.add(part[0]);
  return true;
}

/** The bytes of a range, in a buffer of their own. */
async function bytesIn(held: Held, range: Range): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (held.slice) return held.slice(range);
  const [start, end] = range;
  const bytes = new Uint8Array(end - start);
  await held.ready?.([range]);
  return bytes.subarray(0, held.read(bytes, start));
}

/** The outboard as bytes; empty if it is damaged. */
function outboardBytes(outboard: unknown): Uint8Array {
  try {
    return fromBase64(outboard ?? '');
  } catch {
    return new Uint8Array();
  }
}
