import { joined } from '../shared/bytes.js';
import { BEGUN, fileLock, pieceSnapshot } from './pieceSnapshot.js';
import { PIECE, readingPieces } from './pieces.js';
import type { Change, Database } from './database.js';
import type { PieceHead } from './pieceSnapshot.js';
import type { Pair, Snapshot } from './store.js';

/*
 * A snapshot in a level database:
 *
 *   driblet!store!KEY!head              the head, as JSON
 *   driblet!store!KEY!begun             the pair of a delta that was cut off, as JSON
 *   driblet!store!KEY!file!FILE!INDEX   a piece
 */

/** What errors call it. */
export const LEVEL = 'the level database';
/** Digits of a piece's number, so that keys sort in the order of the pieces. */
const DIGITS = 10;
/** The character after `!`: ends a range of keys that begin with something and `!`. */
const AFTER = '"';

/** Opens what a database keeps under a key; `name` is the database's. */
export function levelSnapshot(database: Database, name: string, key: string): Snapshot {
  const own = `driblet!store!${encodeURIComponent(key).replaceAll('!', '%21')}!`;
  const files = `${own}file!`;
  const pieceKey = (file: string, index: number) => `${files}${file}!${String(index).padStart(DIGITS, '0')}`;
  const keysOf = (file: string) => database.keys(`${files}${file}!`, `${files}${file}${AFTER}`);

  async function record<T>(what: string): Promise<T | undefined> {
    const [value] = await database.values([`${own}${what}`]);
    try {
      return value && (JSON.parse(new TextDecoder().decode(value)) as T);
    } catch {
      return undefined; // A damaged record counts as none.
    }
  }

  const recorded = (what: string, value: unknown): Change => [
    `${own}${what}`,
    new TextEncoder().encode(JSON.stringify(value)),
  ];

  async function remove(file: string): Promise<void> {
    const keys = [...(await keysOf(file)), ...(file === BEGUN ? [`${own}${BEGUN}`] : [])];
    await database.change(keys.map((key): Change => [key, undefined]));
  }

  return pieceSnapshot({
    part: LEVEL,
    pieceLength: PIECE,
    journalLength: PIECE,
    lockName: (file) => fileLock(name, key, file),

    async head() {
      const found = await record<Partial<PieceHead>>('head');
      const isHead =
        typeof found?.version === 'string' &&
        Number.isSafeInteger(found.length) &&
        0 <= (found.length ?? -1) &&
        typeof found.file === 'string';
      return isHead ? (found as PieceHead) : undefined;
    },

    setHead: (head) => database.change([recorded('head', head)]),
    deleteHead: () => database.change([[`${own}head`, undefined]]),

    async blob(file) {
      const values = await database.values(await keysOf(file));
      return new Blob(values.flatMap((value) => (value as Uint8Array<ArrayBuffer> | undefined) ?? []));
    },

    async open({ version, length, outboard, file }) {
      if ((await keysOf(file)).length !== Math.ceil(length / PIECE)) return undefined;
      const piece = async (index: number) => (await database.values([pieceKey(file, index)]).catch(() => []))[0];
      return { version, length, outboard, ...readingPieces(length, piece), close() {} };
    },

    async write(file, from, pieces) {
      const values = await Promise.all(pieces.map((piece) => piece.arrayBuffer()));
      await database.change(values.map((value, at): Change => [pieceKey(file, from + at), new Uint8Array(value)]));
    },

    // Databases do not tell a full disk from other failures.
    withRoom: () => (write) =>
      write().then(
        () => true,
        () => false,
      ),

    pair: () => record<Pair>(BEGUN),

    async writeBegun(pair, pieces, isContinued) {
      if (!isContinued) await remove(BEGUN);
      const index = (await keysOf(BEGUN)).length;
      await database.change([recorded(BEGUN, pair), [pieceKey(BEGUN, index), joined(pieces)]]);
    },

    async files() {
      const keys = await database.keys(files, `${files.slice(0, -1)}${AFTER}`);
      return [...new Set(keys.map((key) => key.slice(files.length).split('!')[0] as string))];
    },

    remove,
  });
}
