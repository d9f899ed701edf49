import { Buffer } from 'buffer';
import type { Change, Database } from '../stores/database.js';

/*
 * Which chunks are whose, in a database that several files share. A file that has a name claims its chunks: each batch of new ones comes with a
 * record of their hashes, and when the file is complete one record takes the place of all. A chunk goes when the last name that claimed
 * it does without. Records lie beside the chunks, under keys that are no hash:
 *
 *   driblet!browser-sync-stream!NAME!NUMBER   hash*
 */

const PREFIX = 'driblet!browser-sync-stream!';
const HASH = 32;
/** What all chunks' keys look like. */
const CHUNK = /^[0-9a-f]{64}$/;

/** The hashes of all chunks that a database holds. */
export async function held(database: Database): Promise<string[]> {
  return (await database.keys('0', 'g')).filter((key) => CHUNK.test(key));
}

/** The claims of one file; of one without a name there are none. */
export interface Claims {
  /** The record that belongs into a batch with these new chunks. */
  add(hashes: readonly string[]): Change[];
  /** What changes when the file is complete and consists of `used`; chunks that are `needed` elsewhere stay, and go another time. */
  settle(held: ReadonlySet<string>, used: ReadonlySet<string>, needed: (hash: string) => boolean): Promise<Change[]>;
}

/** The claims of the file that has this name, or none. */
export function claimsOf(database: Database, name: string | undefined): Claims {
  if (name === undefined) return nameless(database);
  const own = `${PREFIX}${encodeURIComponent(name).replaceAll('!', '%21')}!`;
  // Apart from all that were made before, so that none is overwritten.
  let next = Date.now();
  const record = (hashes: readonly string[]): Change[] => {
    next += 1;
    return hashes.length === 0 ? [] : [[`${own}${next}`, Buffer.concat(hashes.map((hash) => Buffer.from(hash, 'hex')))]];
  };
  return {
    add: record,
    async settle(held, used, needed) {
      const keys = await records(database);
      const mine = keys.filter((key) => key.startsWith(own));
      const others = await claimed(database, keys.filter((key) => !key.startsWith(own)));
      const dispensable = [...(await claimed(database, mine))].filter((hash) => !used.has(hash) && !others.has(hash));
      const garbage = dispensable.filter((hash) => !needed(hash));
      return [
        ...garbage.map((hash): Change => [hash, undefined]),
        ...mine.map((key): Change => [key, undefined]),
        // What is needed elsewhere stays claimed, or nobody would ever delete it.
        ...record([...used, ...dispensable.filter(needed)]),
      ];
    },
  };
}

/** As the original: what this file does not use goes; but not what a name claims. */
function nameless(database: Database): Claims {
  return {
    add: () => [],
    async settle(held, used, needed) {
      const others = await claimed(database, await records(database));
      const garbage = [...held].filter((hash) => !used.has(hash) && !others.has(hash) && !needed(hash));
      return garbage.map((hash): Change => [hash, undefined]);
    },
  };
}

function records(database: Database): Promise<string[]> {
  return database.keys(PREFIX, `${PREFIX.slice(0, -1)}"`);
}

/** The hashes in some records. One that is damaged claims what it can: a chunk too many or too few only costs room, or a fetch. */
async function claimed(database: Database, keys: readonly string[]): Promise<Set<string>> {
  const hashes = new Set<string>();
  for (const value of await database.values(keys)) {
    const bytes = Buffer.from(value ?? []);
    for (let at = 0; at + HASH <= bytes.length; at += HASH) hashes.add(bytes.toString('hex', at, at + HASH));
  }
  return hashes;
}
