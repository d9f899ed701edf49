import { SyncError, asSyncError } from '../shared/error.js';
import { roomfuls, yieldIfDue } from '../shared/module.js';
import { Want } from './core.js';
import { cutOff } from './delta.js';
import { bytesOf, holdLocks, packLock } from '../stores/directories/store.js';
import type { PartsDecoder } from './core.js';
import type { Planned, PlannedPart } from './delta.js';
import type { DirectorySession } from './session.js';
import type { Answer } from '../sync/exchange.js';
import type { Hold } from '../shared/lock.js';
import type { Holdings, Stored } from '../stores/directories/holdings.js';
import type { Pack, PackWriter } from '../stores/directories/store.js';

/* Fetches the parts of a directory delta, up to four at a time, and decodes them one after the other into a pack. */

/** Parts that are fetched at the same time. */
const IN_FLIGHT = 4;

const PART = ['application/vnd.driblet.delta', 'application/octet-stream', ''];
const ACCEPTED = { accept: 'application/vnd.driblet.delta, */*;q=0.5' };

/** The server no longer has a part: another directory delta must be asked for. */
export class PartGone extends SyncError {}

/** A part was refused, and old files that it names may be the reason. */
export class PartRefused extends SyncError {
  /** The old files, by their indices. */
  readonly bases: Uint32Array;

  constructor(cause: unknown, bases: Uint32Array) {
    super(
      'protocol',
      asSyncError('protocol', 'a part is not valid (report it to the operator of the server)', cause).message,
    );
    this.bases = bases;
  }
}

/** Fetches all parts with wanted files, and stores these. `wanted` has the versions that are not held. */
export async function fetchParts(
  session: DirectorySession,
  planned: Planned,
  holdings: Holdings,
  wanted: Set<string>,
): Promise<void> {
  const { exchange } = session;
  const listing = planned.new;
  const needed = planned.parts.flatMap((part, number) => {
    const isWanted = [...part.files].some((index) => wanted.has(listing.id(index)));
    return isWanted ? [{ part, number }] : [];
  });

  async function ask({ part, number }: { part: PlannedPart; number: number }): Promise<AsyncIterable<Uint8Array>> {
    if (number === 0 && planned.inline) return planned.inline;
    const name = part.bases.length === 0 ? `part/${part.name}` : `${planned.pair}/${number}`;
    const answer: Answer = await exchange.ask(name, { headers: ACCEPTED }, PART);
    if (answer.kind === 'delta') return answer.pieces;
    throw new PartGone('protocol', 'the server no longer has a part of the directory; sync again');
  }

  const asked: Promise<AsyncIterable<Uint8Array>>[] = [];
  let next = 0;
  const askMore = () => {
    while (asked.length < IN_FLIGHT && next < needed.length) {
      const asking = ask(needed[next]!);
      asking.catch(() => {}); // Whoever decodes the part gets the error.
      asked.push(asking);
      next += 1;
    }
  };

  const writer = new Writing(session);
  try {
    for (const { part, number } of needed) {
      askMore();
      const pieces = await asked[0]!;
      await decode(session, planned, { part, number, pieces }, holdings, wanted, writer);
      asked.shift();
      await writer.finishPart();
    }
  } finally {
    await writer.close();
    // After an error, nobody reads the other answers.
    for (const answer of asked)
      answer.then(
        (pieces) => pieces[Symbol.asyncIterator]().return?.(),
        () => {},
      );
  }
}

/** A pack that grows by the files of each part. It begins with the first bytes. */
class Writing {
  readonly #session: DirectorySession;
  #writer: PackWriter | undefined;
  #hold: Hold | undefined;
  #at = 0;
  #start = 0;
  #parts = 0;
  #files: Stored[] = [];

  constructor(session: DirectorySession) {
    this.#session = session;
  }

  /** Appends bytes. Await the promise, if there is one. */
  write(bytes: Uint8Array): Promise<void> | undefined | void {
    if (!this.#writer) return this.#begin(bytes.slice());
    this.#at += bytes.length;
    return this.#writer.write(bytes);
  }

  /** Ends a file: the bytes since the end of the last one. */
  endFile(id: string): void {
    this.#files.push({ id, pack: this.#writer?.id ?? '', at: this.#start, length: this.#at - this.#start });
    this.#start = this.#at;
  }

  /** Makes the files of a part durable, then writes where they are. */
  async finishPart(): Promise<void> {
    if (!this.#writer || this.#files.length === 0) return;
    await this.#writer.flush();
    await this.#session.records.addTable(this.#writer.id, this.#parts, this.#files);
    this.#parts += 1;
    this.#files = [];
  }

  async close(): Promise<void> {
    await this.#writer?.flush().catch(() => {}); // Pieces that are being written would come after the pack is removed.
    this.#writer?.close();
    this.#hold?.release();
  }

  async #begin(bytes: Uint8Array): Promise<void> {
    const { store, makeRoom } = this.#session;
    this.#writer = await store.packs.create(makeRoom);
    this.#hold = await holdLocks([packLock(store.name, this.#writer.id)]);
    await this.write(bytes);
  }
}

/** A part that is being received. */
interface Arriving {
  readonly part: PlannedPart;
  readonly number: number;
  readonly pieces: AsyncIterable<Uint8Array>;
}

async function decode(
  session: DirectorySession,
  planned: Planned,
  { part, number, pieces }: Arriving,
  holdings: Holdings,
  wanted: Set<string>,
  writer: Writing,
): Promise<void> {
  const { core, progress, signal } = session;
  const decoder = planned.plan!.decoder(number);
  const old = new OldFiles(session, planned, holdings);

  async function drain(): Promise<boolean> {
    for (;;) {
      const pause = yieldIfDue();
      if (pause) await pause;
      signal.throwIfAborted();
      const want = poll(decoder, part);
      if (want === Want.Basis) {
        const bytes = await old.read(decoder.file, decoder.start, decoder.end);
        // The room is shared: no other code may run between filling it and passing it on.
        core.fill(bytes.length).set(bytes);
        decoder.handleBasis(core.room, bytes.length);
      } else if (want === Want.Output) {
        const id = planned.new.id(decoder.file);
        if (!wanted.has(id)) continue;
        const output = core.view(decoder.start, decoder.end);
        const { isLast } = decoder;
        progress.written += output.length;
        const writing = writer.write(output);
        if (writing) await writing;
        if (isLast) {
          writer.endFile(id);
          wanted.delete(id);
          progress.files += 1;
        }
        session.report();
      } else {
        return want === Want.Done;
      }
    }
  }

  try {
    for await (const piece of pieces) {
      for (const length of roomfuls(core, piece)) {
        decoder.handleInput(core.room, length);
        await drain();
      }
    }
    decoder.handleEnd();
    if (!(await drain())) throw cutOff('a part');
  } finally {
    decoder.free();
  }
}

function poll(decoder: PartsDecoder, { bases }: PlannedPart): Want {
  try {
    return decoder.poll();
  } catch (error) {
    // A part that ends too early was cut off. Any other error means that it, or what it was made from, is damaged.
    const isCut = error instanceof Error && 'code' in error && error.code === 'truncated';
    throw isCut ? cutOff('a part') : new PartRefused(error, bases);
  }
}

/** Reads files of the old manifest, wherever packs have them. */
class OldFiles {
  readonly #session: DirectorySession;
  readonly #planned: Planned;
  readonly #holdings: Holdings;
  readonly #packs = new Map<string, Promise<Pack | undefined>>();

  constructor(session: DirectorySession, planned: Planned, holdings: Holdings) {
    this.#session = session;
    this.#planned = planned;
    this.#holdings = holdings;
  }

  /** Bytes of an old file; fewer if they were lost. */
  async read(index: number, start: number, end: number): Promise<Uint8Array> {
    const place = this.#holdings.places.get(this.#planned.old?.id(index) ?? '');
    if (!place) return new Uint8Array();
    const opened = this.#packs.get(place.pack) ?? this.#session.store.packs.open(place.pack);
    this.#packs.set(place.pack, opened);
    const blob = await (await opened)?.blob(place.at + start, place.at + end);
    return (blob && (await bytesOf(blob))) ?? new Uint8Array();
  }
}
