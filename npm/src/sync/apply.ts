import { toBase64 } from '../shared/bytes.js';
import { Room, Want, yieldIfDue, roomfuls } from './core.js';
import { SyncError, asSyncError } from '../shared/error.js';
import { memoryLease } from '../stores/memory.js';
import type { Core, Decoder } from './core.js';
import type { Answer } from './exchange.js';
import type { Basis } from './basis.js';
import type { Applied, OpenedStore, Session } from './session.js';
import type { Journal, Lease, Staging, Version } from '../stores/store.js';

/** A delta on its way, and what it takes to carry it out. */
export interface Delta {
  /** Makes the machine for it. */
  decoder(): Decoder;
  /** Its bytes, or the rest of them. */
  readonly pieces: AsyncIterable<Uint8Array>;
  /** What it is applied to. */
  readonly basis?: Basis | undefined;
  /** Its first bytes, as an earlier sync kept them, and what goes on keeping. */
  readonly begun?: { readonly pieces: Iterable<Uint8Array>; readonly journal: Journal } | undefined;
  /** Starts to keep its bytes, if they can be of use to a later sync; called when it is known which version they lead to. */
  readonly journal?: ((to: string) => Journal) | undefined;
}

/** The longest version whose bytes are kept while it is written, for who reads it at once. */
const IN_MEMORY = 1 << 25;

/** Carries a delta out: its bytes into the decoder, verified ones into a staging file, and that becomes the head. */
export async function apply(session: Session, delta: Delta): Promise<Applied> {
  const core = await session.core;
  const decoder = delta.decoder();
  let journal = delta.begun?.journal;
  let unkept: Uint8Array[] = [];
  let target: Version | undefined;
  let staging: Staging | undefined;
  let verified: Uint8Array<ArrayBuffer> | undefined;

  async function take(piece: Uint8Array): Promise<void> {
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
        // The room is everybody's: nothing may come between filling it and handing it on.
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

  /** What fits is collected in memory, given out, and only then written; anything longer is written as it comes. */
  async function begin(): Promise<void> {
    target = { version: decoder.target ?? '', length: decoder.length ?? 0 };
    Object.assign(session.progress, { length: target.length, written: 0 });
    if (target.length <= IN_MEMORY) verified = new Uint8Array(target.length);
    else staging = await session.snapshot.stage({ ...target, outboard: toBase64(decoder.outboard ?? new Uint8Array()) });
  }

  async function keep(): Promise<void> {
    if (decoder.target !== undefined) journal ??= delta.journal?.(decoder.target);
    if (!journal) return;
    for (const each of unkept) await journal.append(each);
    unkept = [];
  }

  /** Takes all of the delta; gives how much of the basis it reused. */
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
      await keep().catch(() => {}); // An abort may come while a piece is taken.
      throw error;
    } finally {
      decoder.free();
    }
  }

  try {
    const reused = await decode();
    if (target && verified) return { lease: leaseBefore(session, core, target, verified, journal), reused };
    const lease = await staging?.commit();
    await journal?.discard();
    return { lease, reused };
  } catch (error) {
    // What fails now is not why.
    await staging?.discard().catch(() => {});
    await (isRefused(error) ? journal?.discard() : journal?.keep())?.catch(() => {});
    throw asSyncError('store', 'the store failed', error);
  }
}

/**
 * A lease that can be read from memory before the version is durable; its `store` must be called, by the lock's holder. The bytes move to
 * the page, so a copy is stored; it lies in the core's memory, where the decoder has just left room.
 */
function leaseBefore({ snapshot, instead }: Session, core: Core, target: Version, { buffer }: Uint8Array<ArrayBuffer>, journal?: Journal): Lease {
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
      await staging?.discard().catch(() => {}); // The next sync tidies up.
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

/** Whether an error says that a delta, or what it was applied to, is not what it should be. */
export function isRefused(error: unknown): boolean {
  return error instanceof SyncError && error.code === 'protocol';
}

/** What keeps an answer whose ETag is known, so that a later sync can go on where it ends. */
export function journalOf({ snapshot }: Session, from: string, { response }: Answer & { kind: 'delta' }): Delta['journal'] {
  const etag = response.headers.get('etag') ?? '';
  // The record that names it has room for so much.
  return etag.startsWith('"') && etag.length < 256 ? (to) => snapshot.journal({ from, to, etag }) : undefined;
}

function poll(decoder: Decoder): Want {
  try {
    return decoder.poll();
  } catch (error) {
    // A delta that ends early was cut; anything else is wrong in itself.
    const truncated = error instanceof Error && 'code' in error && error.code === 'truncated';
    throw truncated ? asSyncError('network', 'the connection ended while reading the answer: the delta was cut off (sync again to go on)', error) : asSyncError('protocol', 'the delta was refused (tell who runs the server)', error);
  }
}

function checkPin({ pin }: Session, { target }: Decoder): void {
  if (pin === undefined || target === undefined || pin === target) return;
  throw new SyncError('protocol', `the server sent version ${target}, pinned is ${pin}`);
}
