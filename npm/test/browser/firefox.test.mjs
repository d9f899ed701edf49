// The main path in Firefox, driven over WebDriver BiDi.
import { execFileSync } from 'node:child_process';
import { launch } from 'puppeteer-core';
import { testMainPath } from '../support/mainpath.mjs';

// On some virtual machines Firefox's AVX is a hundred times slower than its SSE.
const PREFERENCES = { 'javascript.options.wasm_simd_avx': false };

testMainPath(async () => {
  const browser = await launch({ browser: 'firefox', executablePath: executable(), headless: true, extraPrefsFirefox: PREFERENCES });
  return {
    async open(url) {
      const page = await browser.newPage();
      await page.goto(url);
      return page;
    },
    close: () => browser.close(),
  };
}, ['browser', 'opfs', 'indexeddb', 'memory']);

function executable() {
  if (process.env.FIREFOX) return process.env.FIREFOX;
  for (const name of ['firefox-esr', 'firefox']) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8' }).trim();
    } catch {
      // The next one, then.
    }
  }
  throw new Error('there is no Firefox here; set FIREFOX, or run scripts/setup.sh browser');
}
