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
import type { Place, Present, Stored } from '../stores/directories/holdings.js';
import type { PackWriter } from '../stores/directories/store.js';

/* Fetches the parts of a directory delta, up to four at a time, and decodes them one after the other into a pack. */

/** Parts that are fetched at the same time. */
const IN_FLIGHT = 4;

/** Bytes of new files that are written at once. */
const TOGETHER = 1 << 18;
/** Bytes of an old file that is read whole. */
const SHORT = 1 << 18;
/** Bytes of such files that stay in memory, which is more than is read ahead. */
const KEPT = 1 << 23;
/** Old files that are read at the same time. */
const AHEAD = 6;

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
  holdings: Present,
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

/** A pack that grows by the files of each part. It begins with the first bytes, and gets many short files at once. */
class Writing {
  readonly #session: DirectorySession;
  readonly #buffer = new Uint8Array(TOGETHER);
  #buffered = 0;
  #writer: PackWriter | undefined;
  #hold: Hold | undefined;
  #at = 0;
  #start = 0;
  #parts = 0;
  #files: Omit<Stored, 'pack'>[] = [];

  constructor(session: DirectorySession) {
    this.#session = session;
  }

  /** Appends bytes. Await the promise, if there is one. */
  write(bytes: Uint8Array): Promise<void> | undefined | void {
    this.#at += bytes.length;
    if (this.#buffered + bytes.length <= TOGETHER) {
      this.#buffer.set(bytes, this.#buffered);
      this.#buffered += bytes.length;
      return undefined;
    }
    return this.#writeAfterBuffered(bytes.slice()); // The caller's bytes change meanwhile.
  }

  async #writeAfterBuffered(bytes: Uint8Array): Promise<void> {
    await (await this.#empty()).write(bytes);
  }

  /** Writes what is buffered. */
  async #empty(): Promise<PackWriter> {
    const writer = await this.#begin();
    const buffered = this.#buffer.subarray(0, this.#buffered);
    this.#buffered = 0;
    if (0 < buffered.length) await writer.write(buffered);
    return writer;
  }

  /** Ends a file: the bytes since the end of the last one. */
  endFile(id: string): void {
    this.#files.push({ id, at: this.#start, length: this.#at - this.#start });
    this.#start = this.#at;
  }

  /** Makes the files of a part durable, then writes where they are. */
  async finishPart(): Promise<void> {
    if (this.#files.length === 0) return;
    const writer = await this.#empty();
    await writer.flush();
    const files = this.#files.map((file) => ({ ...file, pack: writer.id }));
    await this.#session.records.addTable(writer.id, this.#parts, files);
    this.#parts += 1;
    this.#files = [];
  }

  async close(): Promise<void> {
    await this.#writer?.flush().catch(() => {}); // Pieces that are being written would come after the pack is removed.
    this.#writer?.close();
    this.#hold?.release();
  }

  async #begin(): Promise<PackWriter> {
    if (this.#writer) return this.#writer;
    const { store, makeRoom } = this.#session;
    this.#writer = await store.packs.create(makeRoom);
    this.#hold = await holdLocks([packLock(store.name, this.#writer.id)]);
    return this.#writer;
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
  holdings: Present,
  wanted: Set<string>,
  writer: Writing,
): Promise<void> {
  const { core, progress, signal } = session;
  const decoder = planned.plan!.decoder(number);
  const old = new OldFiles(planned, holdings, part.bases);

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

/**
 * Reads files of the old manifest, wherever packs have them. A read of a few bytes takes as long as one of many, so short
 * files are read whole, some at the same time, and kept: a decoder reads each file twice.
 */
class OldFiles {
  readonly #planned: Planned;
  readonly #holdings: Present;
  /** The files that a part is made from, mostly in the order in which they are read. */
  readonly #bases: Uint32Array;
  readonly #positions: ReadonlyMap<number, number>;
  /** Where the read-ahead stands in {@link OldFiles.#bases}. */
  #next = 0;
  /** Short files, the one that was read longest ago first. */
  readonly #short = new Map<number, Promise<Uint8Array | undefined>>();
  #kept = 0;

  constructor(planned: Planned, holdings: Present, bases: Uint32Array) {
    this.#planned = planned;
    this.#holdings = holdings;
    this.#bases = bases;
    this.#positions = new Map(Array.from(bases, (index, at) => [index, at]));
  }

  /** Bytes of an old file; fewer if they were lost. */
  async read(index: number, start: number, end: number): Promise<Uint8Array> {
    const place = this.#place(index);
    if (!place) return new Uint8Array();
    if (SHORT < place.length) return (await this.#bytes(place, start, end)) ?? new Uint8Array();
    const bytes = this.#whole(index, place);
    this.#readAhead(index);
    return (await bytes)?.subarray(start, end) ?? new Uint8Array();
  }

  #place(index: number): Place | undefined {
    return this.#holdings.places.get(this.#planned.old?.id(index) ?? '');
  }

  async #bytes({ pack, at }: Place, start: number, end: number): Promise<Uint8Array | undefined> {
    const blob = await this.#holdings.packs.get(pack)?.blob(at + start, at + end);
    return blob && bytesOf(blob);
  }

  #whole(index: number, place: Place): Promise<Uint8Array | undefined> {
    const known = this.#short.get(index);
    if (known) return known;
    const reading = this.#bytes(place, 0, place.length);
    reading.catch(() => {}); // Whoever needs the file gets the error.
    this.#short.set(index, reading);
    this.#kept += place.length;
    for (const oldest of this.#short.keys()) {
      if (this.#kept <= KEPT || oldest === index) break;
      this.#short.delete(oldest);
      this.#kept -= this.#place(oldest)?.length ?? 0;
    }
    return reading;
  }

  /** Starts to read the short files that follow a file. */
  #readAhead(index: number): void {
    const at = this.#positions.get(index) ?? this.#bases.length;
    this.#next = Math.max(this.#next, at + 1);
    for (; this.#next < Math.min(at + AHEAD, this.#bases.length); this.#next += 1) {
      const following = this.#bases[this.#next]!;
      const place = this.#place(following);
      if (place && place.length <= SHORT) this.#whole(following, place);
    }
  }
}
