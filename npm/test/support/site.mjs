// A server, a link and a browser together, as most tests need them.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, afterEach, before } from 'node:test';
import { assertNothingLeft, launch, open } from './browser.mjs';
import { serve } from './driblet.mjs';
import { isDelta, proxyTo } from './proxy.mjs';

/**
 * Starts a site before the tests of a file, then runs `prepare`, and closes the site after the tests. Checks that no
 * lock is left: after each test, or with `checks: 'at the end'` after all. `options` are those of the server. Returns the site, whose members exist once
 * `prepare` runs.
 */
export function useSite(prepare = () => {}, { checks = 'after each', options = [] } = {}) {
  const used = {};
  // One hook for both: Node 20 does not wait for a hook before it runs the next.
  before(async () => {
    Object.assign(used, await site(await serve(...options)));
    await prepare();
  });
  if (checks === 'after each') afterEach(() => used.assertNothingLeft());
  after(async () => {
    try {
      if (checks === 'at the end') await used.assertNothingLeft();
    } finally {
      await used.close?.();
    }
  });
  return used;
}

/**
 * Starts a server and a link to it before the tests of a file, passes both to `prepare`, and closes them after the tests.
 */
export function useServer(prepare) {
  let started;
  before(async () => {
    const server = await serve();
    started = { server, link: await proxyTo(server) };
    await prepare(started);
  });
  after(async () => {
    await started?.link.close();
    await started?.server.close();
  });
}

/** Starts the three, and opens a page. The server is a `driblet serve` unless another is given. */
export async function site(server) {
  server ??= await serve();
  const link = await proxyTo(server);
  const browser = await launch();
  const page = await open(browser, link.url);
  await page.exposeFunction('hangUp', link.hangUp);
  return {
    server,
    link,
    browser,
    page,
    /** Syncs in the page; see `attempt` there. */
    attempt: (path, options = {}) => page.evaluate(([path, options]) => attempt(path, options), [path, options]),
    /** Syncs, and breaks the connection when the page has `at` bytes of the delta. */
    async attemptCut(path, at, options = {}) {
      link.fault = (request) => (isDelta(request) ? { stall: at } : undefined);
      try {
        return await page.evaluate(
          ([path, at, options]) =>
            attempt(path, { ...options, onProgress: ({ received }) => at <= received && hangUp() }),
          [path, at, options],
        );
      } finally {
        link.fault = () => undefined;
      }
    },
    assertNothingLeft: () => assertNothingLeft(page),
    async close() {
      await browser.close();
      await link.close();
      await server.close();
    },
  };
}

/** Fails unless an attempt returned that file; shows the attempt's error. */
export function assertIs(result, path, when = '') {
  assert.equal(result.digest ?? `${result.code}: ${result.message}`, digestOf(path), when || undefined);
}

export function digestOf(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
