// Chromium with a profile of its own, and the functions that tests call in its pages.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { executable } from './program.mjs';

const ARGUMENTS =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';

/** A name that resolves to this machine, and whose pages are not secure contexts. */
export const PLAIN_HOST = 'plain.driblet.test';

/** Where a site has driblet's scripts: as the server ships them, and as npm installs them, in a folder of the site. */
export const BASES = {
  shipped: { client: '/.driblet/client.js', inline: '/.driblet/inline.js', store: '/.driblet/store.js' },
  installed: { client: '/driblet/dist/index.js', inline: '/driblet/dist/inline.js', store: '/driblet/dist/storage.js' },
};

/**
 * Starts a browser. `trusted` is the hash of a certificate's key, as `newCertificate` gives it: the browser then caches
 * what it gets with it, unlike with `ignoreHTTPSErrors`.
 */
export async function launch({ trusted, ...options } = {}, profile = mkdtempSync(join(tmpdir(), 'driblet-profile-'))) {
  const args = [...ARGUMENTS.split(' '), `--host-resolver-rules=MAP ${PLAIN_HOST} 127.0.0.1`];
  if (trusted) args.push(`--ignore-certificate-errors-spki-list=${trusted}`);
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: executable('CHROMIUM', ['chromium', 'chromium-browser', 'google-chrome'], 'Chromium'),
    headless: true,
    args,
    ...options,
  });
  return {
    context,
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/**
 * Opens a page of the site and defines driblet's exports and `digest` as globals. `base` says which of the site's
 * scripts are driblet's.
 */
export async function open({ context }, url, base = BASES.shipped, { measuresLink = false } = {}) {
  const page = await context.newPage();
  await page.goto(url);
  // Which delta comes must not depend on the machine's speed.
  const useUsualLink = async (client) => (await import(client)).configure({ link: 'usual' });
  if (!measuresLink) await page.evaluate(useUsualLink, base.client);
  await page.evaluate(async (base) => {
    const { browserStore, configure, indexedDbStore, memoryStore, opfsStore, sync, SyncError } = await import(
      base.client
    );
    const { estimate, list, persist } = await import(base.store);
    const hex = (digest) => Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
    const digest = async (bytes) => hex(await crypto.subtle.digest('SHA-256', bytes));
    /** Syncs, reads and closes. Returns what the handle says, or the error. */
    const attempt = async (path, { workerUrl, wasmUrl, workerTimeout, ...options } = {}) => {
      let handle;
      try {
        configure({ workerUrl, wasmUrl, workerTimeout });
        handle = await sync(path, options);
        const bytes = await handle.bytes();
        const isStored = await handle.stored;
        const { version, length, cost, warning } = handle;
        if (isStored !== (warning === undefined)) throw new Error(`stored is ${isStored}, warning ${warning}`);
        return { version, length, cost, warning, digest: await digest(bytes) };
      } catch (error) {
        return { name: error.name, code: error.code, message: error.message, isSyncError: error instanceof SyncError };
      } finally {
        handle?.close();
      }
    };
    /** The files of the store: path and length. */
    const files = async (directory, path = '') => {
      directory ??= await navigator.storage.getDirectory();
      const found = [];
      for await (const [name, entry] of directory.entries()) {
        if (entry.kind === 'directory') {
          found.push(...(await files(entry, `${path}/${name}`)));
        } else {
          const file = await entry.getFile().catch(() => undefined); // The worker may be deleting it.
          if (file) found.push({ path: `${path}/${name}`, name, directory, length: file.size });
        }
      }
      return found;
    };
    Object.assign(globalThis, {
      attempt,
      browserStore,
      configure,
      digest,
      estimate,
      files,
      indexedDbStore,
      list,
      memoryStore,
      opfsStore,
      persist,
      sync,
    });
  }, base);
  return page;
}

/** Waits until every lock is released. Fails if one is not, or if the page has more workers. */
export async function assertNothingLeft(page, workers = 1) {
  const locks = () =>
    page.evaluate(async () => {
      const { held, pending } = await navigator.locks.query();
      return [...held, ...pending].map(({ name }) => name).filter((name) => name.startsWith('driblet '));
    });
  let left = await locks();
  for (let tries = 1000; 0 < tries && 0 < left.length; tries -= 1) left = await locks();
  assert.deepEqual(left, []);
  assert.ok(page.workers().length <= workers, `${page.workers().length} workers`);
}

/** Waits until no sync of a URL into a store runs or cleans up. */
export function whenIdle(page, { name }, path) {
  return page.evaluate(
    ([name, path]) => navigator.locks.request(`driblet sync ${name} ${new URL(path, location).href}`, () => {}),
    [name, path],
  );
}

/** The files of a store that do not belong to one version, once no sync of a URL runs. */
export async function leftOver(page, store, version, path) {
  await whenIdle(page, store, path);
  return page.evaluate(
    async ([{ kind, name }, version]) => {
      if (kind === 'opfs') {
        const found = (await files()).filter(({ path }) => path.startsWith(`/${name}/`)).map(({ name }) => name);
        const own = found.find((file) => file.startsWith(version));
        return found.filter((file) => !['key', 'head', own].includes(file));
      }
      const done = (request) =>
        new Promise((resolve, reject) =>
          Object.assign(request, { onsuccess: () => resolve(request.result), onerror: () => reject(request.error) }),
        );
      const database = await done(indexedDB.open(name));
      const all = (table, method) => done(database.transaction(table).objectStore(table)[method]());
      const found = [...(await all('files', 'getAllKeys')), ...(await all('pieces', 'getAllKeys'))];
      const own = (await all('heads', 'getAll')).find((head) => head.version === version)?.file;
      database.close();
      return found.map(([, file]) => file).filter((file) => file !== own);
    },
    [store, version],
  );
}
