// Firefox, driven over WebDriver BiDi.
import { launch as launchBrowser } from 'puppeteer-core';
import { executable } from './program.mjs';

// On some virtual machines Firefox's AVX code is a hundred times slower than its SSE code.
const PREFERENCES = { 'javascript.options.wasm_simd_avx': false };

/** Starts a browser with a profile of its own, and with these preferences. */
export async function launch(preferences = {}) {
  const browser = await launchBrowser({
    browser: 'firefox',
    executablePath: executable('FIREFOX', ['firefox-esr', 'firefox'], 'Firefox'),
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
