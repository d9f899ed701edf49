import { lockIfFree } from '../shared/lock.js';
import { hexOf, recordsOf } from '../stores/directories/holdings.js';
import { removeLeftovers } from '../stores/directories/leftovers.js';
import { NoRoom, packLock } from '../stores/directories/store.js';
import { isVersionIn } from './core.js';
import { storedListing } from './listing.js';
import type { DirectoryCore } from './core.js';
import type { DirectoryRecords, Holdings, Stored } from '../stores/directories/holdings.js';
import type { DirectoryStore, MakeRoom, PackWriter } from '../stores/directories/store.js';

/*
 * Deletes what no kept version needs, in the order that is safe at any moment: first the record, then the bytes, and the
 * bytes only while nobody reads them.
 */

/** Packs above this number are merged: each is a file that a reader opens. */
const MANY = 48;

/** Bytes of a pack by what its table says. */
interface Weight {
  live: number;
  dead: number;
}

/** Deletes what no kept version of a directory needs. The caller has the directory's lock. Returns whether it did. */
export async function tidyDirectory(store: DirectoryStore, key: string, core: DirectoryCore): Promise<boolean> {
  const records = recordsOf(store.records, key);
  const needed = await neededFiles(records);
  const isPruned = needed && (await prune(records, needed));
  const isCompacted = needed && (await compact(store, records, needed, core));
  return (await removeLeftovers(store)) || isPruned === true || isCompacted === true;
}

/** Deletes what no kept version needs; if there is nothing, the versions that are only kept while there is room. */
export async function makeRoomIn(store: DirectoryStore, key: string, core: DirectoryCore): Promise<boolean> {
  if (await tidyDirectory(store, key, core)) return true;
  const records = recordsOf(store.records, key);
  const expendable = [...(await records.pins())].filter(([, { until }]) => until !== undefined);
  if (expendable.length === 0) return false;
  await records.setPins(expendable.map(([name]) => [name, undefined] as const));
  return tidyDirectory(store, key, core);
}

/** The files of all kept versions. Undefined if a manifest is damaged: then nothing is known to be garbage. */
async function neededFiles(records: DirectoryRecords): Promise<Set<string> | undefined> {
  const needed = new Set<string>();
  for (const version of await records.kept()) {
    const listing = storedListing(version, await records.manifest(version));
    if (!listing) return undefined;
    for (let index = 0; index < listing.count; index += 1) needed.add(listing.id(index));
  }
  return needed;
}

/** Whether a table's entry is the place where a needed file is read. */
function isLive({ places }: Holdings, needed: Set<string>, file: Stored): boolean {
  const place = places.get(file.id);
  return needed.has(file.id) && place?.pack === file.pack && place.at === file.at;
}

/** Deletes manifests that are not kept, with their policies, and tables of packs without a needed file. */
async function prune(records: DirectoryRecords, needed: Set<string>): Promise<boolean> {
  const [kept, holdings, manifests] = await Promise.all([records.kept(), records.holdings(), records.manifests()]);
  const unneeded = manifests.filter((version) => !kept.includes(version)).flatMap(records.keysOf);
  const useful = new Set(
    holdings.tables.flatMap(({ pack, files }) => (files.some((file) => isLive(holdings, needed, file)) ? [pack] : [])),
  );
  const tables = holdings.tables.filter(({ pack }) => !useful.has(pack)).map(({ record }) => record);
  const gone = [...unneeded, ...tables];
  if (0 < gone.length) await records.change(gone.map((record) => [record, undefined] as const));
  return 0 < gone.length;
}

/**
 * Copies the needed files of packs that are mostly garbage into a new pack, and verifies them, if more than half of all
 * bytes are garbage or there are many packs.
 */
async function compact(
  store: DirectoryStore,
  records: DirectoryRecords,
  needed: Set<string>,
  core: DirectoryCore,
): Promise<boolean> {
  const holdings = await records.holdings();
  const weights = new Map<string, Weight>();
  for (const { pack, files } of holdings.tables) {
    const weight = weights.get(pack) ?? { live: 0, dead: 0 };
    weights.set(pack, weight);
    for (const file of files) weight[isLive(holdings, needed, file) ? 'live' : 'dead'] += file.length;
  }
  const all = [...weights.values()];
  const isMany = MANY < all.length;
  const dead = all.reduce((sum, weight) => sum + weight.dead, 0);
  const live = all.reduce((sum, weight) => sum + weight.live, 0);
  if (dead <= live && !isMany) return false;
  const largest = Math.max(...all.map((weight) => weight.live));
  const worst = new Set(
    [...weights].flatMap(([pack, weight]) => {
      const isSmall = isMany && weight.live < largest;
      return weight.live < weight.dead || isSmall ? [pack] : [];
    }),
  );
  await moveFiles(store, records, holdings, worst, needed, core);
  return true;
}

async function moveFiles(
  store: DirectoryStore,
  records: DirectoryRecords,
  holdings: Holdings,
  from: Set<string>,
  needed: Set<string>,
  core: DirectoryCore,
): Promise<void> {
  const moving = holdings.tables.filter(({ pack }) => from.has(pack));
  const noRoom: MakeRoom = async () => false;
  let writer: PackWriter | undefined;
  try {
    writer = await store.packs.create(noRoom);
    const { id: pack } = writer;
    await lockIfFree(packLock(store.name, pack), async () => {
      const moved: Stored[] = [];
      let at = 0;
      for (const table of moving) {
        const opened = await store.packs.open(table.pack);
        for (const file of table.files.filter((file) => isLive(holdings, needed, file))) {
          const blob = await opened?.blob(file.at, file.at + file.length);
          if (!blob) continue;
          const start = at;
          const isRight = await isVersionIn(core, hexOf(file.id), blob, (bytes) => {
            at += bytes.length;
            return writer?.write(bytes);
          });
          // A damaged file is left out: the next sync fetches it again.
          if (isRight) moved.push({ id: file.id, pack, at: start, length: file.length });
        }
      }
      await writer?.flush();
      await records.moveFiles(pack, moved, moving);
    });
  } catch (error) {
    if (!(error instanceof NoRoom)) throw error; // Without room, the garbage stays for now.
  } finally {
    writer?.close();
  }
}
