import { joined } from '../../shared/bytes.js';
import type { Database } from '../database.js';
import type { DirectoryStore, Pack, PackWriter, Packs } from './store.js';

/*
 * Directories in a level database. Records are under their own keys. A pack is stored in pieces:
 *
 *   driblet!pack!ID!OFFSET    a piece; OFFSET is that of its first byte
 */

const ALL = 'driblet!pack!';
/** The character after `!`: ends a range of keys that begin with something and `!`. */
const AFTER = '"';
/** Digits of an offset, so that keys sort in the order of the pieces. */
const DIGITS = 16;

/** How many bytes of a pack are stored at once. */
const PIECE = 1 << 20;

/** The directories of a database; `name` is the database's. */
export function levelDirectories(database: Database, name: string): DirectoryStore {
  return { name, records: database, packs: packsIn(database) };
}

function packsIn(database: Database): Packs {
  const prefixOf = (id: string) => `${ALL}${id}!`;
  const keysOf = (id: string) => database.keys(prefixOf(id), `${prefixOf(id).slice(0, -1)}${AFTER}`);
  const startIn = (key: string) => Number(key.slice(key.lastIndexOf('!') + 1));
  return {
    create: async () => writerOf(database, `l-${crypto.getRandomValues(new Uint32Array(4)).join('-')}`),

    async open(id): Promise<Pack | undefined> {
      if ((await keysOf(id)).length === 0) return undefined;
      return {
        async blob(start, end) {
          const keys = (await keysOf(id)).filter((key) => startIn(key) < end);
          const first = keys.filter((key) => startIn(key) <= start).length - 1;
          const wanted = keys.slice(Math.max(0, first));
          const from = startIn(wanted[0] ?? '!0');
          const values = await database.values(wanted);
          const pieces = values.map((value) => (value ?? new Uint8Array()) as Uint8Array<ArrayBuffer>);
          const blob = new Blob(pieces).slice(start - from, end - from);
          return blob.size === end - start ? blob : undefined;
        },
      };
    },

    async list() {
      const keys = await database.keys(ALL, `${ALL.slice(0, -1)}${AFTER}`);
      return [...new Set(keys.map((key) => key.slice(ALL.length, key.lastIndexOf('!'))))];
    },

    remove: async (id) => database.change((await keysOf(id)).map((key) => [key, undefined] as const)),
  };
}

function writerOf(database: Database, id: string): PackWriter {
  let pieces: Uint8Array[] = [];
  let [from, filled] = [0, 0];

  async function store(): Promise<void> {
    if (filled === 0) return;
    const [piece, start] = [joined(pieces), from];
    from += filled;
    [pieces, filled] = [[], 0];
    await database.change([[`${ALL}${id}!${String(start).padStart(DIGITS, '0')}`, piece]]);
  }

  return {
    id,
    write(bytes) {
      pieces.push(bytes.slice());
      filled += bytes.length;
      return filled < PIECE ? undefined : store();
    },
    flush: store,
    close() {},
  };
}
