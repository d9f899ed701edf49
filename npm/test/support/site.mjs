// Server, link and browser together, as most tests want them.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { assertNothingLeft, launch, open } from './browser.mjs';
import { serve } from './driblet.mjs';
import { isDelta, proxyTo } from './proxy.mjs';

/** Starts all three, and opens a page; the server is a `driblet serve` unless another is given. */
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
    /** A sync whose connection breaks when the page has had `at` bytes of the delta. */
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

/** Fails unless an attempt brought that file; tells how it failed. */
export function assertIs(result, path, when = '') {
  assert.equal(result.digest ?? `${result.code}: ${result.message}`, digestOf(path), when || undefined);
}

export function digestOf(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
