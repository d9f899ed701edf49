import { Want, pour } from './core.js';
import { SyncError, asSyncError } from './error.js';
import type { Core, Decoder } from './core.js';
import type { Answer } from './exchange.js';
import type { Session } from './session.js';
import type { Begun, Journal, Lease, Staging, Version } from './store.js';

/** A delta on its way, and what it takes to carry it out. */
export interface Delta {
  /** Makes the machine for it. */
  decoder(): Decoder;
  /** Its bytes. */
  readonly pieces: AsyncIterable<Uint8Array>;
  /** Fills the core's room with the basis' bytes of a range; gives how many there were. */
  readonly basis?: (core: Core, start: number, end: number) => number;
  /** What keeps its bytes, if they can be of use to a later sync. */
  readonly journal?: Journal | undefined;
}

/** What came of a delta: the new head, or nothing where the version named is the head. */
export interface Applied {
  readonly lease: Lease | undefined;
  readonly reused: number;
}

/** The longest version whose bytes are kept while it is written, for who reads it at once. */
const KEPT = 1 << 25;

/** Carries a delta out: its bytes into the decoder, verified ones into a staging file, and that becomes the head. */
export async function apply(session: Session, delta: Delta): Promise<Applied> {
  const core = await session.core;
  const decoder = delta.decoder();
  let staging: Staging | undefined;
  let verified: Uint8Array<ArrayBuffer> | undefined;

  async function drain(): Promise<Want> {
    for (;;) {
      const want = poll(decoder);
      checkPin(session, decoder);
      if (want === Want.Basis) {
        decoder.handleBasis(core.room, delta.basis?.(core, decoder.start, decoder.end) ?? 0);
      } else if (want === Want.Output) {
        if (!staging && !verified) await begin();
        const output = core.view(decoder.start, decoder.end);
        staging?.write(output);
        verified?.set(output, session.progress.written);
        session.progress.written += decoder.end - decoder.start;
        session.report();
      } else {
        return want;
      }
    }
  }

  let known: Version | undefined;
  const target = (): Version => (known ??= { version: decoder.target ?? '', length: decoder.length ?? 0 });

  /** What fits is collected in memory, given out, and only then written; anything longer is written as it comes. */
  async function begin(): Promise<void> {
    const { length } = target();
    Object.assign(session.progress, { length, written: 0 });
    if (length <= KEPT) verified = new Uint8Array(length);
    else staging = await session.snapshot.stage(target());
  }

  /** Stores what the page will have been given; a copy, since the bytes themselves move to the page. */
  function later(bytes: Uint8Array<ArrayBuffer>): () => Promise<Lease | undefined> {
    const copy = bytes.slice();
    return () => commit(copy);
  }

  async function commit(bytes?: Uint8Array<ArrayBuffer>): Promise<Lease | undefined> {
    try {
      if (bytes) (staging = await session.snapshot.stage(target())).write(bytes);
      const lease = await staging?.commit();
      await delta.journal?.forget();
      return lease;
    } catch (error) {
      await staging?.discard();
      throw error;
    }
  }

  try {
    for await (const piece of delta.pieces) {
      pour(core, piece, (length) => decoder.handleInput(core.room, length));
      await drain();
    }
    decoder.handleEnd();
    const same = (await drain()) === Want.Same;
    if (!same && !staging && !verified) await begin();
    const lease = verified ? leaseBefore(later(verified), target(), verified) : await commit();
    return { lease, reused: decoder.reused };
  } catch (error) {
    await staging?.discard();
    await (isRefused(error) ? delta.journal?.forget() : delta.journal?.keep());
    throw asSyncError('store', 'the store failed', error);
  } finally {
    decoder.free();
  }
}

/** A lease that can be read from memory before the version is durable; its `store` must be called, by the lock's holder. */
function leaseBefore(commit: () => Promise<Lease | undefined>, target: Version, { buffer }: Uint8Array<ArrayBuffer>): Lease {
  let committed: Promise<Lease | undefined> | undefined;
  const stored = () => (committed ??= commit());
  return {
    ...target,
    verified: buffer,
    async blob() {
      return (await stored())?.blob() ?? new Blob();
    },
    async store() {
      return stored().then((lease) => lease?.warning, (error) => `the version was not stored: ${error}`);
    },
    release() {
      stored().then((lease) => lease?.release(), () => {});
    },
  };
}

/** Whether an error says that a delta, or what it was applied to, is not what it should be. */
export function isRefused(error: unknown): boolean {
  return error instanceof SyncError && error.code === 'protocol';
}

/** A journal for an answer whose exact pair and ETag are known, so that a later sync can go on where it ends. */
export function journalOf(session: Session, from: string, { response }: Answer & { kind: 'delta' }): Journal | undefined {
  const pair = /([0-9a-f]{64}|none)-([0-9a-f]{64})$/.exec(response.headers.get('content-location') ?? '');
  const etag = response.headers.get('etag') ?? '';
  if (!pair || pair[1] !== from || !etag.startsWith('"')) return undefined;
  return session.snapshot.journal({ from, to: pair[2]!, etag });
}

/** Pieces, each kept before it is passed on. */
export async function* kept(journal: Journal | undefined, pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    await journal?.append(piece);
    yield piece;
  }
}

/** What was kept of a delta, and then the rest of it. */
export async function* replayed(begun: Begun, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const piece = new Uint8Array(1 << 16);
  for (let at = 0; at < begun.length; ) {
    const length = begun.read(piece.subarray(0, begun.length - at), at);
    if (length === 0) throw new SyncError('store', 'what was kept of a delta shrank while it was read');
    yield piece.subarray(0, length);
    at += length;
  }
  yield* rest;
}

function poll(decoder: Decoder): Want {
  try {
    return decoder.poll();
  } catch (error) {
    // A delta that ends early was cut; anything else is wrong in itself.
    const truncated = error instanceof Error && 'code' in error && error.code === 'truncated';
    throw asSyncError(truncated ? 'network' : 'protocol', 'the delta was refused', error);
  }
}

function checkPin({ pin }: Session, { target }: Decoder): void {
  if (pin === undefined || target === undefined || pin === target) return;
  throw new SyncError('protocol', `the server sent version ${target}, pinned is ${pin}`);
}
