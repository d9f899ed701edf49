import { SyncError } from '../shared/error.js';
import { syncLock, withLock } from '../shared/lock.js';
import { directoryLock, bytesOf, holdLocks, packLock } from '../stores/directories/store.js';
import { hexOf, recordsOf } from '../stores/directories/holdings.js';
import { isVersion, isVersionIn } from './core.js';
import { isEmpty, storedListing } from './listing.js';
import type { DirectoryCore } from './core.js';
import type { Listing } from './listing.js';
import type { DirectoryRecords, Place } from '../stores/directories/holdings.js';
import type { DirectoryStore, Pack } from '../stores/directories/store.js';

/*
 * Reads the files of a stored directory version. Each file is verified before its bytes are given out, once for each
 * reader. Nothing here belongs to a page, so a service worker can use it.
 */

/** The longest file that is read into memory to verify it. A longer one is read twice and stays on the disk. */
const IN_MEMORY = 1 << 22;

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
  let places = (await records.holdings()).places;
  const packs = new Map<string, Promise<Pack | undefined>>();
  const verified = new Set<string>();
  const holds = [
    await holdLocks([directoryLock(store.name, key), ...usedPacks().map((id) => packLock(store.name, id))]),
  ];
  let isReleased = false;

  function usedPacks(): string[] {
    const used = new Set<string>();
    for (let index = 0; index < listing!.count; index += 1) {
      const pack = places.get(listing!.id(index))?.pack;
      if (pack !== undefined) used.add(pack);
    }
    return [...used];
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
    const blob = await (await packOf(place))?.blob(at, at + length);
    if (!blob) return undefined;
    const name = `${pack} ${at}`;
    if (isWhole || length <= IN_MEMORY) {
      const bytes = await bytesOf(blob);
      if (bytes?.length !== length || !(verified.has(name) || (await isVersion(ready, file, bytes)))) return undefined;
      verified.add(name);
      return bytes;
    }
    if (!verified.has(name) && !(await isVersionIn(ready, file, blob))) return undefined;
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
          if (place) await withLock(syncLock(store.name, key), () => dropDamaged(store, key, ready));
          const path = listing.pathAt(index);
          throw new SyncError(
            'store',
            `the stored bytes of ${path} were changed or removed; sync again to fetch them anew`,
          );
        }
        // Another thread may have moved the files to another pack, or fetched them anew.
        tried = place;
        if (place) packs.delete(place.pack);
        places = (await records.holdings()).places;
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

/** Forgets the files of packs that are gone. */
export async function dropGone({ packs }: DirectoryStore, records: DirectoryRecords): Promise<void> {
  const used = new Set((await records.holdings()).tables.map(({ pack }) => pack));
  const gone = new Set<string>();
  for (const pack of used) if (!(await packs.open(pack))) gone.add(pack);
  if (0 < gone.size) await records.filter(({ pack }) => !gone.has(pack));
}
