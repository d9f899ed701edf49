import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import load from '../wasm/driblet.js';
import { memoryStore, sync as syncAnywhere, watch as watchAnywhere } from './index.js';
import { folderDirectories } from './stores/directories/folder.js';
import { runHere } from './page/files.js';
import { directoryHandle, ownName } from './stores/directory.js';
import { respondToCodecs } from './sync/core.js';
import { opfsSnapshot } from './stores/opfs.js';
import { serve } from './worker/engine.js';
import type { Directory, DirectoryOptions, Handle, SyncOptions, WatchDirectoryOptions, WatchOptions } from './index.js';
import type { Watch } from './shared/watch.js';
import type { LocalStore, Store } from './stores/store.js';

/*
 * The same interface for Node: syncs run in the caller's thread, into memory or a folder. Importing it reads no file.
 */

export * from './index.js';
export type { LocalStore } from './stores/store.js';

// Node's `fetch` reads no files.
respondToCodecs(async () => {
  const module = await readFile(new URL('../wasm/codecs/driblet_bg.wasm', import.meta.url));
  return new Response(module, { headers: { 'content-type': 'application/wasm' } });
});

runHere(async () => {
  // Node's `fetch` reads no files.
  await load({ module_or_path: await readFile(new URL('../wasm/driblet_bg.wasm', import.meta.url)) });
  return serve;
});

let shared: Store | undefined;

/**
 * Updates this process' copy of `url` to the server's head, and returns a handle that reads it. Transfers only what
 * changed. The URL must be absolute.
 *
 * Rejects with a {@link SyncError}, or with the signal's reason.
 *
 * @param options - the default store is memory, shared by all syncs of the process.
 * @example
 * const data = await sync('https://example.com/data.json', { store: directoryStore('cache') });
 */
export async function sync(url: string | URL, options: SyncOptions = {}): Promise<Handle> {
  return syncAnywhere(url, { ...options, store: options.store ?? (shared ??= memoryStore()) });
}

/**
 * Updates this process' copy of the directory `url` to the version that the server published last, and returns a
 * {@link Directory} that reads its files. Transfers only what changed. The URL must be absolute.
 *
 * Rejects with a {@link SyncError}, with the signal's reason, or with a `TypeError`.
 *
 * @param options - the default store is memory, shared by all syncs of the process.
 * @example
 * const app = await syncDirectory('https://example.com/app/', { store: directoryStore('cache') });
 */
export async function syncDirectory(url: string | URL, options: DirectoryOptions = {}): Promise<Directory> {
  const directories = await import('./directories-node.js');
  return directories.syncDirectory(url, { ...options, store: options.store ?? (shared ??= memoryStore()) });
}

/**
 * Yields a handle of the newest version of `url`, and then one of each newer version as soon as the server publishes it.
 * A loop that is slow skips versions: it gets the newest one. The URL must be absolute.
 *
 * @param options - the default store is memory, shared by all syncs of the process.
 * @example
 * for await (const data of watch('https://example.com/data.json')) console.log(`${data.length} bytes`);
 */
export function watch(url: string | URL, options: WatchOptions = {}): AsyncGenerator<Handle, void, void> {
  return watchAnywhere(url, { ...options, store: options.store ?? (shared ??= memoryStore()) });
}

/**
 * Yields a {@link Directory} of the version that the server published last, and then one of each newer version, as
 * {@link watch} does. The URL must be absolute.
 *
 * @param options - the default store is memory, shared by all syncs of the process.
 * @example
 * for await (const app of watchDirectory('https://example.com/app/')) console.log(app.paths());
 */
export async function* watchDirectory(
  url: string | URL,
  options: WatchDirectoryOptions = {},
): AsyncGenerator<Directory, void, void> {
  const directories = await import('./directories-node.js');
  yield* directories.watchDirectory(url, { ...options, store: options.store ?? (shared ??= memoryStore()) });
}

/** A store in a folder of the disk. Syncs with it run in the calling thread. */
export interface DirectoryStore extends LocalStore {
  readonly kind: 'directory';
}

/**
 * Keeps versions in a folder on the disk, which is created if it does not exist. Processes may share it: each does its
 * own work, and what is read is verified.
 *
 * @param path - relative to the working directory of this moment, or absolute.
 * @example
 * const store = directoryStore('cache');
 */
export function directoryStore(path: string): DirectoryStore {
  const open = (name: string, key: string, watch: Watch) =>
    opfsSnapshot(name, key, watch, async () => directoryHandle(''), ownName);
  // Locks contain the store's name, so it is the whole path.
  return {
    kind: 'directory',
    name: join(resolve(path), 'driblet'),
    openers: [{ part: 'the folder', open }],
    directories: [folderDirectories],
  };
}
