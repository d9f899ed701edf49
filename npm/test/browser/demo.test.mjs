// Uses the demo: the page with two files by keyboard, the page with an app, and two tabs of the page that follows.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch } from '../support/browser.mjs';
import { binary } from '../support/driblet.mjs';
import { eventually } from '../support/limit.mjs';
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
  await tabToButton();
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
  await tabToButton();
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

test('its text has enough contrast, in light and dark', () =>
  hasContrast(page, ['h1', '.lead', '#status', '.moved strong', '.how', 'dd', 'th', 'footer p']));

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

describe('the app', () => {
  let app;
  /** The bytes of each request and response of a sync of the page. */
  let answers = [];
  const complaints = [];
  const frame = () => app.frameLocator('iframe');

  before(async () => {
    app = await browser.context.newPage();
    app.on('pageerror', (error) => complaints.push(error.message));
    app.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    browser.context.on('response', (response) => {
      const [, version] = /\/site\/\.driblet\/(none|[0-9a-f]{64})$/.exec(response.url()) ?? [];
      if (version)
        answers.push(
          response.body().then(
            ({ length }) => length + version.length,
            () => NaN,
          ),
        );
    });
    await app.goto(`${demo.url}site.html`);
  });
  after(() => app?.close());

  /** Waits until a release is here and shown. Returns what the page shows. */
  async function shownOf(release, { isReloaded = false } = {}) {
    await app.waitForFunction(
      (release) => document.getElementById('status').textContent.startsWith(`Release ${release} is here`),
      release,
    );
    const moved = (await Promise.all(answers)).reduce((sum, length) => sum + length, 0);
    answers = [];
    const shown = await app.evaluate(() => {
      const text = (selector) => document.querySelector(selector).textContent;
      const number = (selector) => Number(/[\d,]+/.exec(text(selector))[0].replaceAll(',', ''));
      return {
        moved: [
          number('.moved strong'),
          number('.driblet dd'),
          Number(/([\d,]+) of/.exec(text('#status'))[1].replace(',', '')),
        ],
        changed: number('.changed dd'),
        whole: number('.whole dd'),
        files: number('.count'),
        how: text('.how'),
        tiles: Array.from(document.querySelectorAll('.tiles li'), ({ dataset, textContent }) => [
          dataset.state,
          textContent,
        ]),
      };
    });
    // The browser drops the answers of a page that is left.
    const expected = isReloaded ? shown.moved[0] : moved;
    assert.deepEqual(shown.moved, [expected, expected, expected]);
    const [coming, removed] = ['coming', 'removed'].map((kind) => shown.tiles.filter(([state]) => state === kind));
    assert.deepEqual(coming, []);
    assert.equal(shown.tiles.length, shown.files + removed.length);
    return { ...shown, moved: expected, removed: removed.map(([, text]) => text) };
  }

  const publish = () => app.click('#publish:not([aria-disabled])');
  const opened = (release) => frame().getByText(`Release ${release}`, { exact: true }).waitFor();
  /** Reloads the app, and waits for the new document: clicks in the old one would be lost. */
  async function reload() {
    const loaded = app.evaluate(async () => {
      const frame = document.querySelector('iframe');
      await new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }));
    });
    await app.click('text=Reload the app');
    await loaded;
  }
  /** Opens a page of the app, whose chunk is loaded then. */
  async function turnTo(name, text) {
    await frame().getByRole('link', { name }).click();
    await frame().getByText(text).waitFor();
  }

  test('a first visit transfers all files, and the service worker serves them', async () => {
    const shown = await shownOf(1);
    assert.equal(shown.how, 'A first visit: all files were sent, in one request.');
    assert.ok(
      shown.tiles.every(([state, text]) => state === 'here' && text.endsWith('new')),
      `${shown.tiles}`,
    );
    await opened(1);
    assert.deepEqual(await app.evaluate(() => navigator.serviceWorker.getRegistrations().then((all) => all.length)), 1);
  });

  test('the next release lights up file by file; the open app stays whole, and offers it', async () => {
    await publish();
    const shown = await shownOf(2);
    assert.ok(shown.moved < shown.changed / 10 && shown.changed < shown.whole, JSON.stringify(shown));
    assert.ok(shown.tiles.some(([state]) => state === 'held') && shown.tiles.some(([state]) => state === 'here'));
    const offer = frame().getByRole('button', { name: 'Reload' });
    await offer.waitFor();
    await opened(1);
    await turnTo('Tea', 'How hot, how long, and how often.');
    await offer.click();
    await opened(2);
  });

  test('every other release', async () => {
    await app.emulateMedia({ reducedMotion: 'reduce' });
    for (const release of [3, 4, 5, 6]) {
      await publish();
      const shown = await shownOf(release);
      // A newer React is mostly new bytes.
      const limit = release === 5 ? shown.changed : shown.changed / 10;
      assert.ok(shown.moved < limit, JSON.stringify(shown));
      if (release === 6) assert.match(shown.removed.join(), /^Tea-.*\.jsremoved$/);
    }
    // The server has no such file any more.
    await turnTo('Tea', 'How hot, how long, and how often.');
    await opened(2);
    await reload();
    await opened(6);
    assert.equal(await frame().getByRole('link', { name: 'Tea' }).count(), 0);
  });

  test('a page that is loaded again has it already', async () => {
    await app.reload();
    const { how, moved, tiles } = await shownOf(6, { isReloaded: true });
    assert.equal(how, 'This browser already has it.');
    assert.ok(moved < 200, `${moved} bytes`);
    assert.ok(
      tiles.every(([state]) => state === 'held'),
      `${tiles}`,
    );
    await opened(6);
  });

  test('it fits a phone, has enough contrast, and says all to a screen reader', async () => {
    const size = app.viewportSize();
    await app.setViewportSize({ width: 360, height: 740 });
    assert.equal(await app.evaluate(() => document.documentElement.scrollWidth), 360);
    await app.setViewportSize(size);
    await hasContrast(app, [
      'h1',
      '.lead',
      'nav a',
      '#status',
      '.moved strong',
      '.how',
      'dd',
      '.state',
      '.file i',
      'footer p',
    ]);
    const said = await app.locator('main').ariaSnapshot();
    for (const part of [
      'button "Start over"',
      'switch "The server is stopped"',
      'status: "Release 6 is here',
      'list "Its files"',
      /Jam-.{8}\.js 1,691 bytes, as before/,
      'heading "The app"',
      'iframe',
      'link "Open it in a tab"',
    ])
      assert.ok(part instanceof RegExp ? part.test(said) : said.includes(part), `no ${part} in\n${said}`);
  });

  test('no error or refusal so far', () => assert.deepEqual(complaints, []));

  test('the app works while the server is stopped', async () => {
    const stop = app.getByRole('switch', { name: 'The server is stopped' });
    await stop.click();
    await app.waitForFunction(() => document.getElementById('status').textContent.startsWith('The server is stopped.'));
    await assert.rejects(fetch(`${demo.url}site/`));
    await turnTo('Rice', 'Rice that takes up all of its water.');
    await reload();
    await turnTo('Converter', 'What an American or British recipe says, in other words.');
    const [tab] = await Promise.all([browser.context.waitForEvent('page'), app.click('text=Open it in a tab')]);
    await tab.getByText('Release 6', { exact: true }).waitFor();
    await tab.close();
    await stop.click();
    await app.waitForFunction(() => document.getElementById('status').textContent === 'The server runs again.');
    assert.equal((await fetch(`${demo.url}site/`)).status, 200);
  });

  test('a sync that fails says so, and can be tried again; after the last release it starts over', async () => {
    await browser.context.route('**/site/.driblet/**', (route) => route.abort());
    await publish();
    const alert = await app.waitForSelector('[role=alert] p');
    assert.match(await alert.textContent(), /^the connection failed/);
    await browser.context.unroute('**/site/.driblet/**');
    answers = [];
    await app.click('text=Try again');
    const { how } = await shownOf(1);
    assert.equal(how, 'A first visit: all files were sent, in one request.');
    await opened(1);
  });
});

describe('the page that follows', () => {
  const tabs = [];
  const complaints = [];
  let folder;

  before(async () => {
    for (let tab = 0; tab < 2; tab += 1) {
      const page = await browser.context.newPage();
      tabs.push(page);
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
      await page.goto(`${demo.url}live.html`);
      await page.evaluate(() => (globalThis.isSameDocument = true));
      await allShow({ 'theme.css': 'Lake', 'numbers.json': 'A year', 'curve.wasm': 'A wave' }, [page]);
    }
    folder = await tabs[0].textContent('#folder');
  });
  after(() => Promise.all(tabs.map((tab) => tab.close())));

  /** What a tab shows of each file, by its name. */
  const shownBy = (tab) =>
    tab.evaluate(() =>
      Object.fromEntries(
        Array.from(document.querySelectorAll('[data-file]'), (article) => {
          const text = (selector) => article.querySelector(selector).textContent;
          const picture = article.querySelector('.picture');
          const shown = {
            label: text('.label'),
            received: Number(text('.moved strong').replaceAll(',', '')),
            how: text('.how'),
            hue: getComputedStyle(article).getPropertyValue('--hue'),
            fresh: (picture.querySelector('.fresh')?.getAttribute('d') ?? '').split('z').length - 1,
            curve: picture.querySelector('.curve')?.getAttribute('d'),
            says: picture.getAttribute('aria-label'),
          };
          return [article.dataset.file, shown];
        }),
      ),
    );

  /** Waits until tabs show the labels of files. Returns what the tabs show. */
  async function allShow(labels, among = tabs) {
    let shown;
    await eventually(
      async () => {
        shown = await Promise.all(among.map(shownBy));
        return shown.every((files) => Object.entries(labels).every(([name, label]) => files[name].label === label));
      },
      `all tabs show ${JSON.stringify(labels)}`,
    );
    return shown;
  }

  /** Clicks a button in one tab, and waits until both show the file's new label. Returns what they show of the file. */
  async function change(tab, button, name, label) {
    await tab.getByRole('button', { name: button }).click();
    const shown = (await allShow({ [name]: label })).map((files) => files[name]);
    for (const { how } of shown)
      assert.match(how, /^Version [0-9a-f]{8} (came with its event|came in one request|is in the browser)/);
    assert.ok(
      shown.some(({ received }) => 0 < received && received < 1000),
      JSON.stringify(shown),
    );
    return shown;
  }

  test('other colours', async () => {
    const hues = new Set();
    for (const [at, label] of ['Forest', 'Ember', 'Plum', 'Lake'].entries()) {
      const [one, other] = await change(tabs[at % 2], 'Change the colours', 'theme.css', label);
      assert.equal(one.hue, other.hue);
      hues.add(one.hue);
      await hasContrast(tabs[0], ['h1', '.lead', 'nav a', '#status', '.moved strong', '.how', 'button', 'footer p']);
      await tabs[0].emulateMedia({ colorScheme: null });
    }
    assert.equal(hues.size, 4);
  });

  test('other numbers', async () => {
    for (const [tab, label, days] of [
      [tabs[0], 'A new July', 31],
      [tabs[1], 'A new August', 31],
      [tabs[0], 'A new September', 30],
    ]) {
      for (const { fresh, says } of await change(tab, 'Change the numbers', 'numbers.json', label)) {
        assert.equal(fresh, days);
        assert.match(says, new RegExp(`^365 days between .* °C; ${days} of them are new\\.$`));
      }
    }
  });

  test('another curve', async () => {
    const curves = new Set();
    for (const [at, label] of ['A beat', 'A zigzag', 'Arches', 'Stairs', 'A wave'].entries()) {
      const [one, other] = await change(tabs[at % 2], 'Change the curve', 'curve.wasm', label);
      assert.equal(one.curve, other.curve);
      curves.add(one.curve);
    }
    assert.equal(curves.size, 5);
  });

  test('files that an editor saves; one that cannot be used leaves the picture before', async () => {
    const [theme, numbers] = ['theme.css', 'numbers.json'].map((name) => join(folder, name));
    writeFileSync(theme, readFileSync(theme, 'utf8').replace("'Lake'", "'Of mine'"));
    await allShow({ 'theme.css': 'Of mine' });
    const [before] = await Promise.all(tabs.map(shownBy));
    const whole = readFileSync(numbers, 'utf8');
    writeFileSync(numbers, whole.replace('{', '('));
    await eventually(async () => {
      const shown = await Promise.all(tabs.map(shownBy));
      return shown.every((files) => files['numbers.json'].how.startsWith('The page keeps the one before: '));
    }, 'all tabs refuse the numbers');
    for (const tab of tabs) assert.equal((await shownBy(tab))['numbers.json'].says, before['numbers.json'].says);
    writeFileSync(numbers, whole.replace('A new September', 'Mended'));
    await allShow({ 'numbers.json': 'Mended' });
  });

  test('it says how long a change took', async () => {
    await tabs[0].getByRole('button', { name: 'Change the curve' }).click();
    await eventually(async () => {
      const shown = await Promise.all(tabs.map(shownBy));
      return shown.every((files) => / It was shown [\d,]+ ms after the change\.$/.test(files['curve.wasm'].how));
    }, 'all tabs show a time');
  });

  test('no tab was loaded again, or had an error or refusal', async () => {
    for (const tab of tabs) assert.equal(await tab.evaluate(() => globalThis.isSameDocument), true);
    assert.deepEqual(complaints, []);
  });

  test('it can be used by keyboard, fits a phone, and says all to a screen reader', async () => {
    const [tab] = tabs;
    await tab.bringToFront();
    await tab.locator('[aria-current]').focus();
    for (const name of ['Change the colours', 'Change the numbers', 'Change the curve']) {
      await tab.keyboard.press('Tab');
      assert.equal(await tab.evaluate(() => document.activeElement.textContent), name);
    }
    await tab.keyboard.press('Enter');
    await allShow({ 'curve.wasm': 'A zigzag' });
    await tab.setViewportSize({ width: 360, height: 740 });
    assert.equal(await tab.evaluate(() => document.documentElement.scrollWidth), 360);
    const said = await tab.locator('main').ariaSnapshot();
    for (const part of [
      /status: "?curve\.wasm is here: [\d,]+ bytes received\./,
      'article "theme.css"',
      'img "The colours of this page: Of mine"',
      /img "365 days between /,
      'img "The curve of f: A zigzag"',
      'link "another tab"',
      folder,
    ])
      assert.ok(part instanceof RegExp ? part.test(said) : said.includes(part), `no ${part} in\n${said}`);
  });

  test('it goes on after the server was stopped', async () => {
    const { url } = await (await fetch(`${demo.url}control.json`)).json();
    const ask = (path) => fetch(`${url}${path}`, { method: 'POST', headers: { origin: new URL(demo.url).origin } });
    await ask('/stop');
    await ask('/live/curve.wasm');
    await allShow({ 'curve.wasm': 'Arches' });
    for (const tab of tabs) assert.equal(await tab.evaluate(() => globalThis.isSameDocument), true);
  });
});

/** Checks the contrast of texts with the page's ground. */
async function hasContrast(page, selectors) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const contrasts = await page.evaluate((selectors) => {
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
      return selectors.map((selector) => {
        const text = luminance(getComputedStyle(document.querySelector(selector)).color);
        return [selector, (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05)];
      });
    }, selectors);
    // Level AA of WCAG 2.2.
    for (const [selector, contrast] of contrasts)
      assert.ok(4.5 <= contrast, `${colorScheme}: ${selector} has ${contrast.toFixed(2)}`);
  }
}

/** Moves the focus from the beginning of the page over the links to the first button. */
async function tabToButton() {
  for (let stop = 0; stop < 4; stop += 1) await page.keyboard.press('Tab');
}

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
