import { Buffer } from 'buffer';
import type { Change, Database } from '../stores/database.js';

/*
 * Records which files use which chunks, in a database that several files share. A file that has a name claims its
 * chunks. Each batch of new chunks is written with a record of their hashes; when the file is complete, one record
 * replaces all of them. A chunk is deleted when no name claims it any longer. The records are beside the chunks, under
 * keys that are not hashes:
 *
 *   driblet!browser-sync-stream!NAME!NUMBER   hash*
 */

const PREFIX = 'driblet!browser-sync-stream!';
/** Bytes of a hash. */
export const HASH = 32;
/** The keys of chunks. */
const CHUNK = /^[0-9a-f]{64}$/;

/** The hashes of all chunks in a database. */
export async function storedHashes(database: Database): Promise<string[]> {
  return (await database.keys('0', 'g')).filter((key) => CHUNK.test(key));
}

/** The claims of one file. A file without a name has none. */
export interface Claims {
  /** The record to write with a batch of these new chunks. */
  add(hashes: readonly string[]): Change[];
  /**
   * The changes to make when the file is complete and consists of `used`. Chunks that are `needed` elsewhere stay, and
   * are deleted later.
   */
  settle(stored: ReadonlySet<string>, used: ReadonlySet<string>, needed: (hash: string) => boolean): Promise<Change[]>;
}

/** The claims of the file with this name. */
export function claimsOf(database: Database, name: string | undefined): Claims {
  if (name === undefined) return nameless(database);
  const own = `${PREFIX}${encodeURIComponent(name).replaceAll('!', '%21')}!`;
  // Greater than the numbers of all earlier records, so that none is overwritten.
  let next = Date.now();
  const record = (hashes: readonly string[]): Change[] => {
    next += 1;
    return hashes.length === 0
      ? []
      : [[`${own}${next}`, Buffer.concat(hashes.map((hash) => Buffer.from(hash, 'hex')))]];
  };
  return {
    add: record,
    async settle(_stored, used, needed) {
      const keys = await records(database);
      const mine = keys.filter((key) => key.startsWith(own));
      const others = await claimed(
        database,
        keys.filter((key) => !key.startsWith(own)),
      );
      const dispensable = [...(await claimed(database, mine))].filter((hash) => !used.has(hash) && !others.has(hash));
      const garbage = dispensable.filter((hash) => !needed(hash));
      return [
        ...garbage.map((hash): Change => [hash, undefined]),
        ...mine.map((key): Change => [key, undefined]),
        // A chunk that is needed elsewhere stays claimed; otherwise nobody would delete it.
        ...record([...used, ...dispensable.filter(needed)]),
      ];
    },
  };
}

/** Like browser-sync-stream: deletes all chunks that this file does not use, except those that a name claims. */
function nameless(database: Database): Claims {
  return {
    add: () => [],
    async settle(stored, used, needed) {
      const others = await claimed(database, await records(database));
      const garbage = [...stored].filter((hash) => !used.has(hash) && !others.has(hash) && !needed(hash));
      return garbage.map((hash): Change => [hash, undefined]);
    },
  };
}

function records(database: Database): Promise<string[]> {
  return database.keys(PREFIX, `${PREFIX.slice(0, -1)}"`);
}

/**
 * The hashes in some records. A damaged record may claim a chunk too many, which costs space, or too few, which costs a
 * transfer.
 */
async function claimed(database: Database, keys: readonly string[]): Promise<Set<string>> {
  const hashes = new Set<string>();
  for (const value of await database.values(keys)) {
    const bytes = Buffer.from(value ?? []);
    for (let at = 0; at + HASH <= bytes.length; at += HASH) hashes.add(bytes.toString('hex', at, at + HASH));
  }
  return hashes;
}
