import { FOLDER } from './names.js';
import { openTables, resultOf, writeBlobs } from '../tables.js';
import type { Watch } from '../../shared/watch.js';
import type { Tables } from '../tables.js';
import { inRoom } from './store.js';
import type { MakeRoom, Pack, PackWriter, Packs, Records } from './store.js';

/*
 * Records and packs in the IndexedDB database `STORE directories`. A pack is stored in pieces; the key of a piece is the
 * pack's id and the offset of its first byte.
 */

const TABLES = ['records', 'packs'] as const;

type Table = (typeof TABLES)[number];

/** The letter that ids of these packs begin with. */
export const DATABASE = 'd';

/** How many bytes of a pack are stored at once. */
const PIECE = 1 << 22;

/** The records and packs of a database. Rejects if it does not open. */
export async function indexedDirectories(name: string, watch: Watch): Promise<{ records: Records; packs: Packs }> {
  const tables = await openTables(`${name}${FOLDER}`, TABLES, watch);
  return { records: recordsIn(tables), packs: packsIn(tables) };
}

function recordsIn({ transact, write, keys }: Tables<Table>): Records {
  return {
    keys: async (first, end) => (await keys('records', IDBKeyRange.bound(first, end, false, true))) as string[],
    values: (names) =>
      transact('readonly', {}, (table) => {
        const found = names.map((key) => resultOf(table('records').get(key) as IDBRequest<Uint8Array | undefined>));
        return () => found.map((value) => value());
      }),
    change: (changes) =>
      write('strict', (table) => {
        for (const [key, value] of changes) {
          if (value) table('records').put(value, key);
          else table('records').delete(key);
        }
      }),
  };
}

function packsIn(tables: Tables<Table>): Packs {
  const piecesOf = (id: string) => IDBKeyRange.bound([id], [id, Infinity]);
  return {
    create: async (makeRoom) =>
      writerOf(tables, `${DATABASE}-${crypto.getRandomValues(new Uint32Array(4)).join('-')}`, makeRoom),

    async open(id): Promise<Pack | undefined> {
      let starts: number[] = [];
      const look = async () => {
        starts = ((await tables.keys('packs', piecesOf(id))) as [string, number][]).map(([, start]) => start);
      };
      await look();
      if (starts.length === 0) return undefined;

      /** The pieces from the one that has the byte at `start`, to `end`. */
      async function pieces(start: number, end: number): Promise<[from: number, pieces: Blob[]]> {
        const from = starts.reduce((last, at) => (at <= start ? at : last), 0);
        const found = await tables.all<Blob | ArrayBuffer>(
          'packs',
          IDBKeyRange.bound([id, from], [id, end], false, true),
        );
        return [from, found.map((piece) => (piece instanceof Blob ? piece : new Blob([piece])))];
      }

      return {
        async blob(start, end) {
          // It grows while a sync writes it.
          if (starts.at(-1)! < start) await look();
          const [from, found] = await pieces(start, end);
          const blob = new Blob(found).slice(start - from, end - from);
          return blob.size === end - start ? blob : undefined;
        },
      };
    },

    list: async () => [
      ...new Set(((await tables.keys('packs', IDBKeyRange.lowerBound(['']))) as [string, number][]).map(([id]) => id)),
    ],

    remove: (id) => tables.write('relaxed', (table) => table('packs').delete(piecesOf(id))),
  };

  function writerOf({ write }: Tables<Table>, id: string, makeRoom: MakeRoom): PackWriter {
    let parts: Blob[] = [];
    let [from, filled] = [0, 0];
    let storing = Promise.resolve();

    function store(): Promise<void> {
      const [blob, start] = [new Blob(parts), from];
      from += filled;
      [parts, filled] = [[], 0];
      const put = () =>
        writeBlobs([blob], ([piece]) => write('strict', (table) => table('packs').put(piece, [id, start])));
      storing = storing.then(() => inRoom(makeRoom, put));
      storing.catch(() => {}); // The caller that waits for it gets the error.
      return storing;
    }

    return {
      id,
      write(bytes) {
        parts.push(new Blob([bytes as Uint8Array<ArrayBuffer>])); // The blob has a copy.
        filled += bytes.length;
        if (filled < PIECE) return undefined;
        const before = storing;
        void store();
        return before;
      },
      flush: () => (filled === 0 ? storing : store()),
      close() {},
    };
  }
}
