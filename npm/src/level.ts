import { runHere } from './page/files.js';
import { databaseOf, watchedDatabase } from './stores/database.js';
import { levelDirectories } from './stores/directories/level.js';
import { LEVEL, levelSnapshot } from './stores/levelSnapshot.js';
import { serve } from './worker/engine.js';
import type { Watch } from './shared/watch.js';
import type { LevelDatabase } from './stores/database.js';
import type { DirectoryOpener } from './stores/directories/store.js';
import type { LocalStore } from './stores/store.js';

export type { LevelDatabase } from './stores/database.js';
export type { LocalStore } from './stores/store.js';

/** A store in a level database. Syncs with it run in the thread that made it, which in a page is the page's own. */
export interface LevelStore extends LocalStore {
  readonly kind: 'level';
}

const names = new WeakMap<LevelDatabase, string>();

/**
 * Keeps versions in a level database, beside other data that is in it.
 *
 * A database cannot be sent to a worker. From the first call on, **all syncs of the page run in this thread**, in steps
 * of some ten milliseconds. Call it before the page's first `sync()`: it throws an error if driblet has started its
 * worker.
 *
 * @param db - a levelup or abstract-level instance, of any version. Throws a `TypeError` if it is something else.
 * @example
 * const app = await sync('/app.js', { store: levelStore(new Level('cache')) });
 */
export function levelStore(db: LevelDatabase): LevelStore {
  const database = databaseOf(db);
  if (!runHere(() => serve)) {
    throw new Error(
      "levelStore() must be called before the first sync(): driblet's worker runs, and it cannot use the database",
    );
  }
  const name = names.get(db) ?? databaseName(db);
  names.set(db, name);
  const open = async (name: string, key: string, watch: Watch) =>
    levelSnapshot(watchedDatabase(database, watch), name, key);
  const directories: DirectoryOpener = {
    part: LEVEL,
    open: async (name, watch) => levelDirectories(watchedDatabase(database, watch), name),
  };
  return { kind: 'level', name, openers: [{ part: LEVEL, open }], directories: [directories] };
}

/** The name of a database, which locks contain: the same in all tabs if the database has a location. */
function databaseName(db: LevelDatabase): string {
  const { location } = db as { location?: unknown };
  const isNamed = typeof location === 'string' && location !== '';
  return `level ${isNamed ? location : crypto.getRandomValues(new Uint32Array(4)).join('-')}`;
}
