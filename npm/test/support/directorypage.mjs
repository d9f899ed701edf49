// What tests of directories do in a page.
import { BASES, open } from './browser.mjs';
import { defineInDatabase } from './database.mjs';

/** Where a site has driblet's scripts for directories. */
export const DIRECTORIES = {
  shipped: '/.driblet/directories.js',
  installed: '/driblet/dist/directories.js',
};

/** Opens a page as `open` does, and defines `syncDirectory`, `attemptDirectory` and `packs` as globals. */
export async function openDirectories(browser, url, where = 'installed') {
  const page = await open(browser, url, BASES[where]);
  await preparePage(page, DIRECTORIES[where]);
  return page;
}

/** Defines the globals in a page that has `digest`. */
export async function preparePage(page, script) {
  await defineInDatabase(page);
  await page.evaluate(async (script) => {
    const directories = await import(script);
    const digest = async (bytes) =>
      Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)), (byte) =>
        byte.toString(16).padStart(2, '0'),
      ).join('');

    const stores = {};

    /** The SHA-256 of each file, by its path. */
    const digests = async (directory) => {
      const files = {};
      for (const path of directory.paths().sort()) files[path] = await digest(await directory.bytes(path));
      return files;
    };

    /** Syncs, reads all files and closes. Returns what the directory says, or the error. */
    const attemptDirectory = async (path, { abortAfterFiles, directoryWorkerUrl, ...options } = {}) => {
      let directory;
      try {
        if (directoryWorkerUrl) directories.configure({ directoryWorkerUrl });
        const abort = new AbortController();
        const onProgress = ({ files }) => abortAfterFiles <= files && abort.abort(new Error('enough'));
        // A memory store lives as long as the page holds it.
        if (options.store) options.store = stores[options.store.name] ??= options.store;
        const more = abortAfterFiles ? { onProgress, signal: abort.signal } : {};
        directory = await directories.syncDirectory(path, { ...options, ...more });
        const { version, length, cost, warning } = directory;
        const persisted = await directory.persisted;
        return { version, length, cost, warning, persisted, files: await digests(directory) };
      } catch (error) {
        return { name: error.name, code: error.code, message: error.message };
      } finally {
        directory?.close();
      }
    };

    /** The packs of a store that are files. */
    const packFiles = async (name) => {
      const root = await navigator.storage?.getDirectory?.().catch(() => undefined);
      const folder = await root?.getDirectoryHandle(`${name} directories`).catch(() => undefined);
      const found = [];
      for await (const [file, handle] of folder?.entries() ?? []) found.push({ folder, file, handle });
      return found;
    };

    const packs = {
      /** Changes or deletes the bytes of all packs of a store. */
      async damage(name, how) {
        for (const { folder, file, handle } of await packFiles(name)) {
          if (how === 'delete') {
            await folder.removeEntry(file);
          } else {
            const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
            const writable = await handle.createWritable();
            await writable.write(bytes.map((byte) => byte ^ 1));
            await writable.close();
          }
        }
        await inDatabase(`${name} directories`, async (table) => {
          for (const key of await table('packs', 'getAllKeys')) {
            if (how === 'delete') {
              await table('packs', 'delete', key);
            } else {
              const blob = new Blob([await table('packs', 'get', key)]);
              const bytes = new Uint8Array(await blob.arrayBuffer());
              await table('packs', 'put', new Blob([bytes.map((byte) => byte ^ 1)]), key);
            }
          }
        });
      },
      /** The bytes of all packs of a store, and how many packs are files and in the database. */
      async measure(name) {
        const files = await packFiles(name);
        let bytes = 0;
        for (const { handle } of files) bytes += (await handle.getFile()).size;
        const pieces = await inDatabase(`${name} directories`, (table) => table('packs', 'getAll'));
        for (const piece of pieces) bytes += piece.size ?? piece.byteLength;
        return { bytes, files: files.length, pieces: pieces.length };
      },
    };
    Object.assign(globalThis, { attemptDirectory, digests, directories, packs });
    globalThis.syncDirectory = (path, options) =>
      directories.syncDirectory(path, { ...options, store: (stores[options.store.name] ??= options.store) });
  }, script);
}
