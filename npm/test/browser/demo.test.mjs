// Uses the demo by keyboard.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch } from '../support/browser.mjs';
import { binary } from '../support/driblet.mjs';
import { whenStarted } from '../support/program.mjs';

/** The number of parts of each map. */
const CELLS = 1440;

let demo;
let browser;
let page;
const complaints = [];

before(async () => {
  demo = await startDemo();
  browser = await launch();
  page = await browser.context.newPage();
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  await page.goto(demo.url);
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

test('a first visit transfers the first releases whole', async () => {
  await page.waitForFunction(() =>
    document.getElementById('status').textContent.startsWith('typescript.js 5.8.3 and sql-wasm.wasm 1.14.1 are here'),
  );
  const shown = await typescript();
  assert.equal(shown.how, 'A first visit: the whole file was sent, compressed.');
  assert.equal(shown.map, 'Map of the file: all of it is new.');
  assert.ok(shown.moved < shown.plain && shown.plain < shown.length, JSON.stringify(shown));
});

test('the next release transfers what changed, and the map shows where', async () => {
  await page.keyboard.press('Tab');
  await press('Publish the next release', 'Enter');
  await here('5.9.2');
  const shown = await typescript();
  assert.equal(shown.how, 'The server knew 5.8.3, and sent only the changes.');
  assert.equal(shown.roundTrips, 1);
  assert.ok(shown.moved < 0.02 * shown.length, `${shown.moved} of ${shown.length} bytes`);
  assert.match(shown.map, /bytes of 9,111,680 do not occur in 5\.8\.3/);
  assert.ok(0 < shown.asBefore && shown.asBefore < CELLS, `${shown.asBefore} cells as before`);
  assert.deepEqual(shown.drawn, [CELLS, CELLS]);
});

test('a server that has forgotten the release takes two round trips', async () => {
  await page.keyboard.press('Tab');
  await press('The server forgets earlier releases', 'Space');
  await page.keyboard.press('Shift+Tab');
  await press('Publish the next release', 'Enter');
  await here('5.9.3');
  const shown = await typescript();
  assert.equal(
    shown.how,
    'The server did not know 5.9.2. The page sent a signature of it, and kept the parts that matched.',
  );
  assert.equal(shown.roundTrips, 2);
  assert.ok(shown.moved < 0.02 * shown.length, `${shown.moved} of ${shown.length} bytes`);
});

test('a page that is loaded again has it already', async () => {
  await page.reload();
  await here('5.9.3');
  const shown = await typescript();
  assert.equal(shown.how, 'This page already has it.');
  assert.equal(shown.asBefore, CELLS);
});

test('after the last release it starts over, with nothing stored', async () => {
  await page.keyboard.press('Tab');
  await press('Start over', 'Enter');
  await here('5.8.3');
  assert.equal((await typescript()).how, 'A first visit: the whole file was sent, compressed.');
});

test('it fits a phone', async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
});

test('a screen reader gets everything that the page shows', async () => {
  const said = await page.locator('main').ariaSnapshot();
  for (const part of [
    'heading "driblet" [level=1]',
    'button "Publish the next release"',
    'switch "The server forgets earlier releases"',
    'status: "typescript.js 5.8.3 and sql-wasm.wasm 1.14.1 are here',
    'article "typescript.js"',
    'article "sql-wasm.wasm"',
    'img "Map of the file: all of it is new."',
    'columnheader "Round trips"',
    'rowheader "plain fetch"',
  ])
    assert.ok(said.includes(part), `no ${part} in\n${said}`);
});

test('its text has enough contrast, in light and dark', async () => {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const contrasts = await page.evaluate(() => {
      // Paints a colour, which turns every notation into bytes.
      const context = new OffscreenCanvas(1, 1).getContext('2d');
      const luminance = (colour) => {
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        const [red, green, blue] = Array.from(context.getImageData(0, 0, 1, 1).data, (byte) => byte / 255).map(
          (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4),
        );
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
      };
      const ground = luminance(getComputedStyle(document.body).backgroundColor);
      return ['h1', '.lead', '#status', '.moved strong', '.how', 'dd', 'th', 'footer p'].map((selector) => {
        const text = luminance(getComputedStyle(document.querySelector(selector)).color);
        return [selector, (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05)];
      });
    });
    // Level AA of WCAG 2.2.
    for (const [selector, contrast] of contrasts)
      assert.ok(4.5 <= contrast, `${colorScheme}: ${selector} has ${contrast.toFixed(2)}`);
  }
});

test('no error or refusal so far', () => assert.deepEqual(complaints, []));

test('a sync that fails says so, and can be tried again', async () => {
  await browser.context.route('**/*.driblet/**', (route) => route.abort());
  await press('Publish the next release', 'Enter');
  const alert = await page.waitForSelector('[role=alert] p');
  assert.match(await alert.textContent(), /^the connection failed/);
  await browser.context.unroute('**/*.driblet/**');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await press('Try again', 'Enter');
  await here('5.9.2');
  assert.equal((await typescript()).how, 'The server knew 5.8.3, and sent only the changes.');
  assert.equal(await page.textContent('[role=alert]'), '');
});

/** Presses a key on what has the focus, which goes by that name, and can be used. */
async function press(name, key) {
  await page.waitForSelector(':focus:not([aria-disabled])');
  assert.equal(
    await page.evaluate(() => (document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()),
    name,
  );
  await page.keyboard.press(key);
}

/** Waits until the page shows a release of typescript.js, and how it was transferred. */
async function here(release) {
  await page.waitForFunction(
    (release) => document.getElementById('status').textContent.startsWith(`typescript.js ${release} and`),
    release,
  );
}

/** The page's texts about typescript.js. */
function typescript() {
  return page.evaluate(() => {
    const article = document.querySelector('article');
    const text = (selector) => article.querySelector(selector).textContent;
    const number = (selector) => Number(/[\d,]+/.exec(text(selector))[0].replaceAll(',', ''));
    const cells = (map, selector) =>
      Array.from(map.querySelectorAll(selector), (path) => path.getAttribute('d'))
        .join('')
        .split('z').length - 1;
    return {
      moved: number('.moved strong'),
      length: number('.moved span'),
      plain: number('.plain dd'),
      how: text('.how'),
      roundTrips: number('tr.driblet td'),
      map: article.querySelector('svg').getAttribute('aria-label'),
      asBefore: cells(article, 'path.held'),
      drawn: Array.from(document.querySelectorAll('svg'), (map) => cells(map, 'path')),
    };
  });
}

async function startDemo() {
  const child = spawn('node', [fileURLToPath(new URL('../../../demo/run.mjs', import.meta.url)), binary], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { found, stop } = await whenStarted(child, child.stdout, /^ *The demo is at (http:\S+)/, 'the demo');
  return { url: found[1], stop };
}
