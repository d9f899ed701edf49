// Firefox, driven over WebDriver BiDi.
import { execFileSync } from 'node:child_process';
import { launch as launchBrowser } from 'puppeteer-core';

// On some virtual machines Firefox's AVX code is a hundred times slower than its SSE code.
const PREFERENCES = { 'javascript.options.wasm_simd_avx': false };

/** Starts a browser with a profile of its own, and with these preferences. */
export async function launch(preferences = {}) {
  const browser = await launchBrowser({
    browser: 'firefox',
    executablePath: executable(),
    headless: true,
    extraPrefsFirefox: { ...PREFERENCES, ...preferences },
  });
  return {
    async open(url) {
      const page = await browser.newPage();
      await page.goto(url);
      return page;
    },
    close: () => browser.close(),
  };
}

function executable() {
  if (process.env.FIREFOX) return process.env.FIREFOX;
  for (const name of ['firefox-esr', 'firefox']) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8' }).trim();
    } catch {
      // Try the next one.
    }
  }
  throw new Error('there is no Firefox here; set FIREFOX, or run scripts/setup.sh browser');
}
