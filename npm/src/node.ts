import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import load from '../wasm/driblet.js';
import { runHere } from './page/client.js';
import { directoryHandle, ownName } from './stores/directory.js';
import { WAYS, serve } from './worker/engine.js';
import { memoryStore, sync as syncAnywhere } from './index.js';
import { opfsSnapshot } from './stores/opfs.js';
import type { Handle, Store, SyncOptions } from './index.js';

/* The same interface for Node: in the caller's thread, into memory or a folder. */

export * from './index.js';

// The store's name is the whole path, for locks have it in theirs.
WAYS.directory = [{ part: 'the folder', open: (name, key, watch) => opfsSnapshot(name, key, watch, async () => directoryHandle(''), ownName) }];

// `fetch` reads no files here, so the module is loaded beforehand.
const module = readFile(new URL('../wasm/driblet_bg.wasm', import.meta.url));
runHere(module.then(async (bytes) => {
  await load({ module_or_path: bytes });
  return serve;
}));

const shared = memoryStore();

/**
 * Brings this process' copy of `url` to the server's head, and gives a handle to read it by. Moves only what changed.
 *
 * The URL must be absolute. Default store: memory, as long as the process lives.
 */
export async function sync(url: string | URL, options: SyncOptions = {}): Promise<Handle> {
  return syncAnywhere(url, { ...options, store: options.store ?? shared });
}

/** Keeps versions in a folder on the disk, which is made if it is not there. Processes may share it: each does its own work, and reading verifies. */
export function directoryStore(path: string): Store {
  return { kind: 'directory', name: join(resolve(path), 'driblet') };
}
