import type { Watch } from '../shared/watch.js';

/*
 * One interface for all level databases: levelup and abstract-level 1 use callbacks, abstract-level 2 and later use
 * promises. Each call says that keys are text and values are bytes, because a database may have other defaults.
 */

/** A levelup or abstract-level instance, of any version. */
export type LevelDatabase = object;

/** A change: a value to write, or `undefined` to delete. */
export type Change = readonly [key: string, value: Uint8Array | undefined];

/** The operations that driblet needs. */
export interface Database {
  /** All keys from `first` on, below `end`. */
  keys(first: string, end: string): Promise<string[]>;
  /** The values of some keys; undefined for keys that do not exist. */
  values(keys: readonly string[]): Promise<(Uint8Array | undefined)[]>;
  /** Makes all changes or none. */
  change(changes: readonly Change[]): Promise<void>;
}

/** Wraps a level database. Throws a TypeError if it is something else. */
export function databaseOf(db: LevelDatabase): Database {
  if (typeof db !== 'object' || db === null)
    throw new TypeError('the first argument must be a levelup or abstract-level database');
  if ('createKeyStream' in db) return byCallbacks(db as Levelup);
  if ('keys' in db && 'getMany' in db && 'batch' in db) return byPromises(db as AbstractLevel);
  throw new TypeError(
    'the database has neither createKeyStream, as levelup has, nor keys and getMany, as abstract-level has',
  );
}

/** Wraps a database so that all its calls are watched. */
export function watchedDatabase(database: Database, watch: Watch): Database {
  return {
    keys: (first, end) => watch(() => database.keys(first, end)),
    values: (keys) => watch(() => database.values(keys)),
    change: (changes) => watch(() => database.change(changes)),
  };
}

const ENCODINGS = { keyEncoding: 'utf8', valueEncoding: 'binary' } as const;

/** The methods that all versions of levelup have. */
interface Levelup {
  createKeyStream(options: object): { on(event: string, listener: (value: unknown) => void): void };
  get(key: string, options: object, callback: (error: LevelError | null, value: unknown) => void): void;
  batch(operations: Operation[], options: object, callback: (error: unknown) => void): void;
}

interface AbstractLevel {
  keys(options: object): AsyncIterable<unknown>;
  getMany(keys: readonly string[], options: object): Promise<unknown[]>;
  batch(operations: Operation[], options: object): Promise<void>;
}

type Operation = { type: 'put'; key: string; value: Uint8Array } | { type: 'del'; key: string };

interface LevelError extends Error {
  notFound?: boolean;
  type?: string;
}

function byCallbacks(db: Levelup): Database {
  const valueAt = (key: string) =>
    new Promise<Uint8Array | undefined>((resolve, reject) => {
      db.get(key, ENCODINGS, (error, value) => {
        if (!error) return resolve(valueBytes(value));
        if (error.notFound || error.type === 'NotFoundError' || error.name === 'NotFoundError')
          return resolve(undefined);
        return reject(error);
      });
    });
  return {
    keys: (first, end) =>
      new Promise((resolve, reject) => {
        const found: string[] = [];
        const stream = db.createKeyStream({ gte: first, lt: end, ...ENCODINGS });
        stream.on('data', (key) => found.push(String(key)));
        stream.on('error', reject);
        stream.on('end', () => resolve(found));
      }),
    values: (keys) => Promise.all(keys.map(valueAt)),
    change: (changes) =>
      new Promise((resolve, reject) =>
        db.batch(changes.map(operationOf), ENCODINGS, (error) => (error ? reject(error) : resolve())),
      ),
  };
}

function byPromises(db: AbstractLevel): Database {
  return {
    async keys(first, end) {
      const found: string[] = [];
      for await (const key of db.keys({ gte: first, lt: end, ...ENCODINGS })) found.push(String(key));
      return found;
    },
    values: async (keys) => (await db.getMany(keys, ENCODINGS)).map(valueBytes),
    change: (changes) => db.batch(changes.map(operationOf), ENCODINGS),
  };
}

function operationOf([key, value]: Change): Operation {
  return value ? { type: 'put', key, value } : { type: 'del', key };
}

/** A value as bytes; undefined if it is something else. */
function valueBytes(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return typeof value === 'string' ? Uint8Array.from(value, (letter) => letter.charCodeAt(0)) : undefined;
}
