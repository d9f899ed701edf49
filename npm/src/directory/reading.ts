import { SyncError } from '../shared/error.js';
import { syncLock, withLock } from '../shared/lock.js';
import { directoryLock, bytesOf, holdLocks, packLock } from '../stores/directories/store.js';
import { hexOf, recordsOf } from '../stores/directories/holdings.js';
import { isVersion, isVersionIn } from './core.js';
import { isEmpty, storedListing } from './listing.js';
import type { DirectoryCore } from './core.js';
import type { Listing } from './listing.js';
import type { DirectoryRecords, Holdings, Place, Present } from '../stores/directories/holdings.js';
import type { DirectoryStore, Pack } from '../stores/directories/store.js';

/*
 * Reads the files of a stored directory version. Each file is verified before its bytes are given out, once for each
 * reader. Nothing here belongs to a page, so a service worker can use it.
 */

/** The longest file that is read into memory to verify it. A longer one is read twice and stays on the disk. */
const IN_MEMORY = 1 << 22;

/** Bytes of a pack that are read at once for short files: one read of many bytes takes less time than many of few. */
const BLOCK = 1 << 20;
/** The longest file that is read in blocks. */
const SHORT = BLOCK / 4;
/** Blocks that stay in memory. */
const BLOCKS = 4;

/** A directory version whose files can be read until it is released. */
export interface DirectoryReader {
  readonly version: string;
  readonly listing: Listing;
  /**
   * The bytes of a file, or a blob that stays on the disk. With `isWhole`, always bytes. Rejects if the bytes were
   * changed or removed; the next sync fetches the file again.
   */
  read(index: number, isWhole?: boolean): Promise<Uint8Array<ArrayBuffer> | Blob>;
  release(): void;
  renew(): Promise<void>;
}

/** Opens a version that is stored under a key. Undefined if its manifest is not stored, or damaged. */
export async function openVersion(
  store: DirectoryStore,
  key: string,
  version: string,
  core: Promise<DirectoryCore>,
): Promise<DirectoryReader | undefined> {
  const ready = await core; // Manifests are parsed by the module.
  const records = recordsOf(store.records, key);
  const listing = storedListing(version, await records.manifest(version));
  if (!listing) return undefined;
  const { places } = await records.holdings();
  return readerOf(store, key, ready, { version, listing, places });
}

/** Opens a version whose files, and where they lie, are known. */
export async function readerOf(
  store: DirectoryStore,
  key: string,
  core: DirectoryCore,
  { version, listing, places }: { version: string; listing: Listing; places: Holdings['places'] },
): Promise<DirectoryReader> {
  const records = recordsOf(store.records, key);
  const blocks = blocksOf((place) => packOf(place));
  const packs = new Map<string, Promise<Pack | undefined>>();
  const verified = new Set<string>();
  let ends: Map<string, number> | undefined;
  const holds = [
    await holdLocks([directoryLock(store.name, key), ...usedPacks().map((id) => packLock(store.name, id))]),
  ];
  let isReleased = false;

  function usedPacks(): string[] {
    const used = new Set<string>();
    for (let index = 0; index < listing.count; index += 1) {
      const pack = places.get(listing.id(index))?.pack;
      if (pack !== undefined) used.add(pack);
    }
    return [...used];
  }

  /** The end of the last file that a pack is known to have. */
  function endOf(pack: string): number {
    if (!ends) {
      ends = new Map();
      for (const { pack, at, length } of places.values()) ends.set(pack, Math.max(ends.get(pack) ?? 0, at + length));
    }
    return ends.get(pack) ?? 0;
  }

  function packOf({ pack }: Place): Promise<Pack | undefined> {
    const opened = packs.get(pack) ?? store.packs.open(pack);
    packs.set(pack, opened);
    return opened;
  }

  /** The bytes at a place, if they are those of the version. */
  async function readAt(
    place: Place,
    file: string,
    isWhole: boolean,
  ): Promise<Uint8Array<ArrayBuffer> | Blob | undefined> {
    const { pack, at, length } = place;
    const name = `${pack} ${at}`;
    if (length <= SHORT) {
      const bytes = await blocks.read(place, endOf(pack));
      if (bytes && (verified.has(name) || (await isVersion(core, file, bytes)))) {
        verified.add(name);
        return bytes;
      }
      blocks.forget();
      return undefined;
    }
    const blob = await (await packOf(place))?.blob(at, at + length);
    if (!blob) return undefined;
    if (isWhole || length <= IN_MEMORY) {
      const bytes = await bytesOf(blob);
      if (bytes?.length !== length || !(verified.has(name) || (await isVersion(core, file, bytes)))) return undefined;
      verified.add(name);
      return bytes;
    }
    if (!verified.has(name) && !(await isVersionIn(core, file, blob))) return undefined;
    verified.add(name);
    return blob;
  }

  return {
    version,
    listing,
    async read(index, isWhole = false) {
      const id = listing.id(index);
      if (isEmpty(id)) return new Uint8Array();
      const file = listing.version(index);
      let tried: Place | undefined;
      for (let isLast = false; ; isLast = true) {
        const place = places.get(id);
        const isNew = place && (place.pack !== tried?.pack || place.at !== tried.at);
        const found = isNew ? await readAt(place, file, isWhole) : undefined;
        if (found) return found;
        if (isLast) {
          if (place) await withLock(syncLock(store.name, key), () => dropDamaged(store, key, core));
          const path = listing.pathAt(index);
          throw new SyncError(
            'store',
            `the stored bytes of ${path} were changed or removed; sync again to fetch them anew`,
          );
        }
        // Another thread may have moved the files to another pack, or fetched them anew.
        tried = place;
        if (place) packs.delete(place.pack);
        ({ places } = await records.holdings());
        ends = undefined;
        const moved = places.get(id);
        if (moved && !isReleased) holds.push(await holdLocks([packLock(store.name, moved.pack)]));
      }
    },
    release() {
      isReleased = true;
      holds.forEach((hold) => hold.release());
    },
    async renew() {
      isReleased = false;
      await Promise.all(holds.map((hold) => hold.renew()));
    },
  };
}

/** Reads short files from blocks of packs, of which the last ones stay in memory. */
function blocksOf(open: (place: Place) => Promise<Pack | undefined>) {
  const blocks = new Map<string, Promise<Uint8Array | undefined>>();

  async function load(place: Place, start: number, end: number): Promise<Uint8Array | undefined> {
    const blob = await (await open(place))?.blob(start, end);
    return blob && bytesOf(blob);
  }

  function block(place: Place, start: number, end: number): Promise<Uint8Array | undefined> {
    const name = `${place.pack} ${start} ${end}`;
    const block = blocks.get(name) ?? load(place, start, end);
    block.catch(() => blocks.delete(name));
    blocks.delete(name);
    blocks.set(name, block);
    for (const oldest of blocks.keys()) {
      if (blocks.size <= BLOCKS) break;
      blocks.delete(oldest);
    }
    return block;
  }

  return {
    /** The bytes at a place of a pack with this length; undefined if they were lost. */
    async read(place: Place, packLength: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
      const { at, length } = place;
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        const start = at + done - ((at + done) % BLOCK);
        const found = (await block(place, start, Math.min(start + BLOCK, packLength)))?.subarray(at + done - start);
        if (!found?.length) return undefined;
        bytes.set(found.subarray(0, length - done), done);
        done += Math.min(found.length, length - done);
      }
      return bytes;
    },
    forget: () => blocks.clear(),
  };
}

/**
 * Forgets the files in packs whose bytes are not those of their versions, so that the next sync fetches them. Where one
 * file is damaged, others may be. Returns whether there were any. The caller has the directory's lock.
 *
 * @param only - the packs to look at. Default: all.
 */
export async function dropDamaged(
  store: DirectoryStore,
  key: string,
  core: DirectoryCore,
  only?: ReadonlySet<string>,
): Promise<boolean> {
  const records = recordsOf(store.records, key);
  const damaged = new Set<string>();
  for (const { pack, files } of (await records.holdings()).tables) {
    if (only && !only.has(pack)) continue;
    const opened = await store.packs.open(pack);
    for (const { at, length, id } of files) {
      const blob = await opened?.blob(at, at + length);
      if (!blob || !(await isVersionIn(core, hexOf(id), blob))) damaged.add(`${pack} ${at}`);
    }
  }
  if (0 < damaged.size) await records.filter(({ pack, at }) => !damaged.has(`${pack} ${at}`));
  return 0 < damaged.size;
}

/** What a directory holds, and its open packs, without the files of packs that are gone, which are forgotten. */
export async function presentHoldings({ packs: all }: DirectoryStore, records: DirectoryRecords): Promise<Present> {
  const holdings = await records.holdings();
  const packs = new Map<string, Pack>();
  const used = new Set(holdings.tables.map(({ pack }) => pack));
  const open = async (id: string) => {
    const pack = await all.open(id);
    if (pack) packs.set(id, pack);
  };
  await Promise.all(Array.from(used, open));
  if (packs.size === used.size) return { ...holdings, packs };
  await records.filter(({ pack }) => packs.has(pack));
  return { ...(await records.holdings()), packs };
}
