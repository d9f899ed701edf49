// Chromium with a profile of its own, and what the tests do in its pages.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const ARGUMENTS = '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';

/** A name that leads to this machine, and whose pages are not secure contexts. */
export const PLAIN_HOST = 'plain.driblet.test';

/** Starts a browser. */
export async function launch(options = {}) {
  const profile = mkdtempSync(join(tmpdir(), 'driblet-profile-'));
  const args = [...ARGUMENTS.split(' '), `--host-resolver-rules=MAP ${PLAIN_HOST} 127.0.0.1`];
  const context = await chromium.launchPersistentContext(profile, { executablePath: executable(), headless: true, args, ...options });
  return {
    context,
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/** Opens a page of the site, in which what driblet exports and `digest` are at hand. */
export async function open({ context }, url) {
  const page = await context.newPage();
  await page.goto(url);
  await page.evaluate(async () => {
    const { browserStore, indexedDbStore, memoryStore, opfsStore, sync, SyncError } = await import('/.driblet/client.js');
    const { estimate, list, persist } = await import('/.driblet/store.js');
    const hex = (digest) => Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
    const digest = async (bytes) => hex(await crypto.subtle.digest('SHA-256', bytes));
    /** Syncs, reads, closes, and tells what came of it; or how it failed. */
    const attempt = async (path, options) => {
      try {
        const handle = await sync(path, options);
        const bytes = await handle.bytes();
        await handle.stored;
        const { version, length, cost, warning } = handle;
        handle.close();
        return { version, length, cost, warning, digest: await digest(bytes) };
      } catch (error) {
        return { name: error.name, code: error.code, message: error.message, isSyncError: error instanceof SyncError };
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
          const file = await entry.getFile().catch(() => undefined); // The worker may be tidying up.
          if (file) found.push({ path: `${path}/${name}`, name, directory, length: file.size });
        }
      }
      return found;
    };
    Object.assign(globalThis, { attempt, browserStore, digest, estimate, files, indexedDbStore, list, memoryStore, opfsStore, persist, sync });
  });
  return page;
}

function executable() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8' }).trim();
    } catch {
      // The next one, then.
    }
  }
  throw new Error('there is no Chromium here; set CHROMIUM, or run scripts/setup.sh browser');
}
