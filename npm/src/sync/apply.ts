import { toBase64 } from '../shared/bytes.js';
import { Decoder, Room, Want, allCodecs } from './core.js';
import { roomfuls, yieldIfDue } from '../shared/module.js';
import { SyncError, asSyncError, messageOf } from '../shared/error.js';
import { memoryLease } from '../stores/memory.js';
import { CodecsMissing } from './codecs.js';
import type { Core, Decoders } from './core.js';
import type { Answer } from './exchange.js';
import type { Basis } from './basis.js';
import type { Applied, OpenedStore, Session } from './session.js';
import type { Journal, Lease, Staging, VersionInfo } from '../stores/store.js';

/** A delta that is being received, and what is needed to apply it. */
export interface Delta {
  /** Creates the decoder, with the codecs of this module. */
  decoder(of: Decoders): Decoder;
  /** The module of that decoder, if it is not the one of every page. */
  readonly core?: Core;
  /** The delta's bytes, or those that an earlier sync did not receive. */
  readonly pieces: AsyncIterable<Uint8Array>;
  /** What the delta copies from. */
  readonly basis?: Basis | undefined;
  /** The delta's first bytes, which an earlier sync kept, and the journal that keeps the rest. */
  readonly begun?: { readonly pieces: Iterable<Uint8Array>; readonly journal: Journal } | undefined;
  /** Starts a journal for the delta, if a later sync can use it. Called with the target once it is known. */
  readonly journal?: ((to: string) => Journal) | undefined;
}

/** The most bytes of a delta that are kept until it is known which codecs it needs. */
const KEPT = 1 << 23;

/** The longest version that is collected in memory while it is decoded, in bytes. */
const IN_MEMORY = 1 << 25;

/**
 * Applies a delta: passes its bytes to the decoder and writes verified bytes to a staging file, which becomes the head.
 */
export async function apply(session: Session, delta: Delta): Promise<Applied> {
  const basic = await session.core;
  let core = delta.core ?? basic;
  let decoder = delta.decoder(Decoder);
  // The pieces so far, for the decoder with all codecs. A delta names its codec before it gives out any bytes.
  let kept: Uint8Array[] | undefined = delta.core ? undefined : [];
  let keptLength = 0;
  let journal = delta.begun?.journal;
  let unkept: Uint8Array[] = [];
  let target: VersionInfo | undefined;
  let staging: Staging | undefined;
  let verified: Uint8Array<ArrayBuffer> | undefined;

  async function take(piece: Uint8Array): Promise<void> {
    keptLength += piece.length;
    if (target || KEPT < keptLength) kept = undefined;
    kept?.push(piece.slice());
    try {
      await pass(piece);
    } catch (error) {
      if (!kept || !(error instanceof UnknownCodec)) throw error;
      const pieces = kept;
      kept = undefined;
      core = await session.allCodecs();
      decoder.free();
      decoder = delta.decoder(allCodecs);
      for (const each of pieces) await pass(each);
    }
  }

  async function pass(piece: Uint8Array): Promise<void> {
    for (const length of roomfuls(core, piece)) decoder.handleInput(core.room, length);
    await drain();
  }

  async function drain(): Promise<Want> {
    for (;;) {
      const pause = yieldIfDue();
      if (pause) await pause;
      const want = poll(decoder);
      session.signal.throwIfAborted();
      checkPin(session, decoder);
      if (want === Want.Basis) {
        const { start, end } = decoder;
        const ready = delta.basis?.ready(start, end);
        if (ready) await ready;
        // All decoders share the room: no other code may run between filling it and passing it on.
        decoder.handleBasis(core.room, delta.basis?.fill(core, start, end) ?? 0);
      } else if (want === Want.Output) {
        if (!target) await begin();
        const output = core.view(decoder.start, decoder.end);
        verified?.set(output, session.progress.written);
        session.progress.written += decoder.end - decoder.start;
        const writing = staging?.write(output);
        session.report();
        if (writing) await writing;
      } else {
        return want;
      }
    }
  }

  /**
   * Collects a short version in memory: the handle gets it before it is written. A longer one is written as it arrives.
   */
  async function begin(): Promise<void> {
    target = { version: decoder.target ?? '', length: decoder.length ?? 0 };
    Object.assign(session.progress, { length: target.length, written: 0 });
    if (target.length <= IN_MEMORY) verified = new Uint8Array(target.length);
    else
      staging = await session.snapshot.stage({ ...target, outboard: toBase64(decoder.outboard ?? new Uint8Array()) });
  }

  async function keep(): Promise<void> {
    if (decoder.target !== undefined) journal ??= delta.journal?.(decoder.target);
    if (!journal) return;
    for (const each of unkept) await journal.append(each);
    unkept = [];
  }

  /** Decodes the whole delta. Returns how many bytes of the basis it reused. */
  async function decode(): Promise<number> {
    try {
      for (const piece of delta.begun?.pieces ?? []) await take(piece);
      for await (const piece of delta.pieces) {
        if (journal ?? delta.journal) unkept.push(piece);
        await take(piece);
        await keep();
      }
      decoder.handleEnd();
      const same = (await drain()) === Want.Same;
      if (!same && !target) await begin();
      return decoder.reused;
    } catch (error) {
      await keep().catch(() => {}); // An abort may come while a piece is decoded.
      throw error;
    } finally {
      decoder.free();
    }
  }

  try {
    const reused = await decode();
    if (target && verified) return { lease: leaseBefore(session, basic, target, verified, journal), reused };
    const lease = await staging?.commit();
    await journal?.discard();
    return { lease, reused };
  } catch (error) {
    // Errors of the clean-up are not the reason of the failure.
    await staging?.discard().catch(() => {});
    await (isRefused(error) || error instanceof CodecsMissing ? journal?.discard() : journal?.keep())?.catch(() => {});
    throw asSyncError('store', 'the store failed', error);
  }
}

/**
 * A lease that can be read from memory before the version is durable. The holder of the lock must call its `store`. The
 * bytes are transferred to the page, so a copy is stored. The copy is in the core's memory, where the decoder has just
 * freed space.
 */
function leaseBefore(
  { snapshot, instead }: Session,
  core: Core,
  target: VersionInfo,
  { buffer }: Uint8Array<ArrayBuffer>,
  journal?: Journal,
): Lease {
  const { length } = target;
  const copy = new Room(length);
  const bytes = () => core.view(copy.at, copy.at + length);
  bytes().set(new Uint8Array(buffer));

  async function commitTo({ snapshot, warning }: OpenedStore): Promise<Lease> {
    let staging: Staging | undefined;
    try {
      staging = await snapshot.stage(target);
      await staging.write(bytes());
      return { warning, ...(await staging.commit()) };
    } catch (error) {
      await staging?.discard().catch(() => {}); // The next sync deletes what is left over.
      const other = await instead(error);
      if (other) return commitTo(other);
      return memoryLease(target, [bytes().slice()], `the version was not stored, it is in memory only: ${error}`);
    }
  }

  async function commit(): Promise<Lease> {
    try {
      return await commitTo({ snapshot });
    } finally {
      copy.free();
      await journal?.discard().catch(() => {});
    }
  }

  let committed: Promise<Lease> | undefined;
  const stored = () => (committed ??= commit());
  return {
    ...target,
    verified: buffer,
    blob: async () => (await stored()).blob(),
    held: async () => (await stored()).held(),
    store: async () => (await stored()).warning,
    release: () => void stored().then((lease) => lease.release()),
    renew: async () => (await stored()).renew?.(),
  };
}

/** Whether an error means that the delta, or the basis it was applied to, is damaged. */
export function isRefused(error: unknown): boolean {
  return error instanceof SyncError && error.code === 'protocol';
}

/** A journal for an answer that has an ETag, so that a later sync can continue after its last byte. */
export function journalOf(
  { snapshot }: Session,
  from: string,
  { response }: Answer & { kind: 'delta' },
): Delta['journal'] {
  const etag = response.headers.get('etag') ?? '';
  // Longer ETags do not fit into the journal's record.
  return etag.startsWith('"') && etag.length < 256 ? (to) => snapshot.journal({ from, to, etag }) : undefined;
}

/** The delta has a region in a codec that the module does not decode. */
class UnknownCodec extends SyncError {}

const INVALID = 'the delta is not valid (report it to the operator of the server)';

function poll(decoder: Decoder): Want {
  try {
    return decoder.poll();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'bad-codec') throw new UnknownCodec('protocol', `${INVALID}: ${messageOf(error)}`, { cause: error });
    // A delta that ends too early was cut off. Any other error means that the delta is damaged.
    throw code === 'truncated'
      ? asSyncError(
          'network',
          'the connection ended while reading the answer: the delta was cut off (sync again to continue)',
          error,
        )
      : asSyncError('protocol', INVALID, error);
  }
}

function checkPin({ pin }: Session, { target }: Decoder): void {
  if (pin === undefined || target === undefined || pin === target) return;
  throw new SyncError('protocol', `the server sent version ${target}, but version ${pin} was asked for`);
}
