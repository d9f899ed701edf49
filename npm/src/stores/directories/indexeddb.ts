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
      /** Pieces that stay on the disk, by their starts. */
      const known = new Map<number, Blob>();
      const look = async () => {
        starts = ((await tables.keys('packs', piecesOf(id))) as [string, number][]).map(([, start]) => start);
      };
      await look();
      if (starts.length === 0) return undefined;

      const startOf = (at: number) => starts.reduce((last, start) => (start <= at ? start : last), 0);

      /** The known pieces that have a range, the first of which begins at `from`; undefined if one is not known. */
      function knownPieces(from: number, end: number): Blob[] | undefined {
        const found: Blob[] = [];
        for (let at = from; at < end; ) {
          const piece = known.get(at);
          if (!piece?.size) return undefined;
          found.push(piece);
          at += piece.size;
        }
        return found;
      }

      async function loadPieces(from: number, end: number): Promise<Blob[]> {
        const range = IDBKeyRange.bound([id, from], [id, end], false, true);
        const found = await tables.all<Blob | ArrayBuffer>('packs', range);
        let at = from;
        return found.map((piece) => {
          const blob = piece instanceof Blob ? piece : new Blob([piece]);
          if (blob === piece) known.set(at, blob);
          at += blob.size;
          return blob;
        });
      }

      return {
        async blob(start, end) {
          let from = startOf(start);
          let found = knownPieces(from, end);
          if (!found) {
            if (starts.at(-1)! < start) await look(); // It grows while a sync writes it.
            from = startOf(start);
            found = await loadPieces(from, end);
          }
          const all = found.length === 1 ? found[0]! : new Blob(found);
          const blob = all.slice(start - from, end - from);
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
