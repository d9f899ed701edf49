import { runHere } from './page/client.js';
import { databaseOf, watchedDatabase } from './stores/database.js';
import { WAYS, serve } from './worker/engine.js';
import { levelSnapshot } from './stores/levelSnapshot.js';
import type { LevelDatabase } from './stores/database.js';
import type { Store } from './stores/store.js';

export type { LevelDatabase } from './stores/database.js';

const databases = new Map<string, LevelDatabase>();
const names = new WeakMap<LevelDatabase, string>();

/**
 * Keeps versions in a level database, beside what else is in it, for `sync()`. A database cannot be handed to a worker, so from the first call on
 * the syncs of a page run in its own thread; call it before the page's first sync.
 *
 * @param db - any levelup or abstract-level instance.
 * @example
 * const app = await sync('/app.js', { store: levelStore(new Level('cache')) });
 */
export function levelStore(db: LevelDatabase): Store {
  databaseOf(db); // Says so here where it is none.
  const name = names.get(db) ?? nameOf(db);
  names.set(db, name);
  databases.set(name, db);
  WAYS.level = [{ part: 'the level database', open: async (name, key, watch) => levelSnapshot(watchedDatabase(databaseOf(databases.get(name) as LevelDatabase), watch), name, key) }];
  runHere(serve);
  return { kind: 'level', name };
}

/** A name that is the same in all tabs, where there is one, for locks have it in theirs. */
function nameOf(db: LevelDatabase): string {
  const { location } = db as { location?: unknown };
  return typeof location === 'string' && location !== '' ? `level ${location}` : `level ${crypto.getRandomValues(new Uint32Array(4)).join('-')}`;
}
