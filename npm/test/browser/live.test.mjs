// Pages that follow a server: each tab ends at the newest version, whatever happens to tabs, server and network.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { PLAIN_HOST, assertNothingLeft, launch, open } from '../support/browser.mjs';
import { release } from '../support/driblet.mjs';
import { eventually } from '../support/limit.mjs';
import { isDelta } from '../support/proxy.mjs';
import { useSite } from '../support/site.mjs';

const s = useSite(undefined, { options: ['--directory', 'app'] });

/** Replaces a file of the site in one step. */
function publish(name, text) {
  const whole = join(s.server.root, `.${name}.new`);
  writeFileSync(whole, text);
  renameSync(whole, join(s.server.root, name));
}

/** Opens a tab that watches a file. It has what it saw in `seen`. */
async function watchIn(name, options = {}, browser = s.browser) {
  const page = await open(browser, s.link.url);
  page.on('request', (request) => {
    if (isLive({ url: request.url() })) page.hasAsked = true;
  });
  await start(page, name, options);
  return page;
}

function start(page, name, options = {}) {
  return page.evaluate(
    async ([name, { renews, ...options }]) => {
      const { watch } = await import('/.driblet/client.js');
      globalThis.seen = [];
      globalThis.stop = new AbortController();
      if (renews) options.renewHeaders = () => ({ 'x-token': renews });
      globalThis.watching = (async () => {
        try {
          for await (const handle of watch(`/${name}`, { ...options, signal: stop.signal })) {
            const bytes = await handle.bytes();
            const { length, version, cost } = handle;
            seen.push({
              text: length < 100 ? new TextDecoder().decode(bytes) : version,
              version,
              requests: cost.requests,
            });
            handle.close();
          }
        } catch (error) {
          globalThis.ended = `${error.name}: ${error.message}`;
        }
      })();
    },
    [name, options],
  );
}

const seenBy = (page) => page.evaluate(() => globalThis.seen ?? []);
const lastOf = async (page) => (await seenBy(page)).at(-1)?.text;

/** Waits until all tabs show a text. The error says what they show instead. */
async function allShow(pages, text) {
  let shown;
  const show = async () => {
    shown = await Promise.all(pages.map(lastOf));
    return shown.every((each) => each === text);
  };
  await eventually(show, `all tabs show ${text}`).catch(async (error) => {
    const ended = await Promise.all(pages.map((page) => page.evaluate(() => globalThis.ended)));
    throw new Error(`${error.message}; they show ${JSON.stringify(shown)}, and ended: ${JSON.stringify(ended)}`);
  });
}

/** The requests for a file and its resources. */
const asked = (name) => s.link.requests.filter(({ path }) => path.startsWith(`/${name}`));
/** The live streams of a file that are open. */
const streams = (name) => [...s.link.open.values()].filter((path) => path.startsWith(`/${name}.driblet/live`));

const close = (pages) => Promise.all(pages.map((page) => page.close()));

/** Runs while the requests that `fault` is about go wrong. */
async function during(fault, work) {
  s.link.fault = fault;
  try {
    return await work();
  } finally {
    s.link.fault = () => undefined;
  }
}

const isLive = ({ url }) => /\.driblet\/live(\?|$)/.test(url);

/** Ends the process of a tab. */
async function kill(page) {
  const crashed = new Promise((resolve) => page.once('crash', resolve));
  const session = await s.browser.context.newCDPSession(page);
  session.send('Page.crash').catch(() => {}); // Nobody can answer.
  await crashed;
  await page.close();
}

/** The tab that has the stream. */
async function leaderOf(pages, name) {
  await eventually(() => streams(name).length === 1, 'one tab leads');
  return pages.filter((page) => page.hasAsked).at(-1);
}

test('a page sees each version, and the tabs of a browser share one stream and one download', async () => {
  publish('shared.txt', 'one');
  const pages = [];
  for (let tab = 0; tab < 4; tab += 1) pages.push(await watchIn('shared.txt'));
  await allShow(pages, 'one');
  await leaderOf(pages, 'shared.txt');
  s.link.requests.length = 0;
  for (const text of ['two', 'three', 'four']) {
    publish('shared.txt', text);
    await allShow(pages, text);
  }
  // One for each version at most: a delta that comes with its event needs none.
  assert.ok(asked('shared.txt').length <= 3, JSON.stringify(asked('shared.txt')));
  assert.equal(streams('shared.txt').length, 1);
  await close(pages);
  await eventually(() => streams('shared.txt').length === 0);
});

test('a loop that is slow gets the newest version only', async () => {
  publish('slow.txt', '0');
  const page = await open(s.browser, s.link.url);
  await page.evaluate(async () => {
    const { watch } = await import('/.driblet/client.js');
    globalThis.stop = new AbortController();
    globalThis.versions = watch('/slow.txt', { signal: stop.signal });
    globalThis.next = async () => {
      const { value } = await versions.next();
      const text = new TextDecoder().decode(await value.bytes());
      value.close();
      return text;
    };
  });
  assert.equal(await page.evaluate(() => next()), '0');
  const other = await watchIn('slow.txt');
  for (const text of ['1', '2', '3', '4']) {
    publish('slow.txt', text);
    await allShow([other], text);
  }
  // The tab may lead or not.
  await eventually(async () => (await page.evaluate(() => next())) === '4');
  await close([page, other]);
});

test('twenty tabs that open, close, and are killed, in every order', async () => {
  publish('many.txt', '0');
  const pages = [];
  for (let tab = 0; tab < 20; tab += 1) {
    pages.push(await watchIn('many.txt'));
    if (tab % 5 === 0) publish('many.txt', `opened ${tab}`);
  }
  await allShow(pages, 'opened 15');
  s.link.requests.length = 0;
  for (let round = 1; 2 < pages.length; round += 1) {
    // The leader, the first, one in the middle, or the last: by turns closed and killed.
    const leader = await leaderOf(pages, 'many.txt');
    const chosen = [leader, pages[0], pages[pages.length >> 1], pages.at(-1)][round % 4];
    pages.splice(pages.indexOf(chosen), 1);
    await (round % 2 === 0 ? kill(chosen) : chosen.close());
    publish('many.txt', `round ${round}`);
    await allShow(pages, `round ${round}`);
  }
  // Each of 18 rounds: a new leader's stream and head, and the delta.
  assert.ok(asked('many.txt').length <= 18 * 4, `${asked('many.txt').length} requests`);
  await close(pages);
  await eventually(() => streams('many.txt').length === 0);
});

test('a leader that is killed while it stores a version: another tab goes on', async () => {
  const [old, fresh] = [release('5.9.2'), release('5.9.3')];
  copyFileSync(old, join(s.server.root, 'large.js'));
  const pages = [await watchIn('large.js'), await watchIn('large.js'), await watchIn('large.js')];
  await eventually(async () => (await Promise.all(pages.map(seenBy))).every((seen) => seen.length === 1));
  const leader = await leaderOf(pages, 'large.js');
  // The delta stalls; by then the leader holds the locks of the sync.
  let hasStalled;
  const stalled = new Promise((resolve) => {
    hasStalled = resolve;
  });
  await during(
    (request) => {
      if (!isDelta(request)) return undefined;
      hasStalled();
      return { stall: 100 };
    },
    async () => {
      copyFileSync(fresh, join(s.server.root, 'next.js'));
      renameSync(join(s.server.root, 'next.js'), join(s.server.root, 'large.js'));
      await stalled;
    },
  );
  await kill(leader);
  const left = pages.filter((page) => page !== leader);
  const head = await (await fetch(new URL('/large.js.driblet/head', s.server.url))).json();
  await allShow(left, head.version);
  await close(left);
});

test('a page in the back/forward cache lets go of stream and locks, and catches up when it is back', async () => {
  publish('cached.txt', 'one');
  // Automated browsers keep no pages in the back/forward cache unless told to.
  const browser = await launch({ ignoreDefaultArgs: ['--disable-back-forward-cache'] });
  try {
    const page = await watchIn('cached.txt', {}, browser);
    await allShow([page], 'one');
    await leaderOf([page], 'cached.txt');
    await page.evaluate(() => {
      globalThis.persisted = new Promise((resolve) => {
        addEventListener('pageshow', (event) => resolve(event.persisted));
      });
    });
    const other = await open(browser, s.link.url);
    await page.goto(new URL('/?other', s.link.url).href);
    await eventually(() => streams('cached.txt').length === 0, 'the stream is let go');
    await assertNothingLeft(other);
    publish('cached.txt', 'two');
    await page.goBack({ waitUntil: 'commit' });
    assert.equal(await page.evaluate(() => persisted), true);
    await allShow([page], 'two');
    publish('cached.txt', 'three');
    await allShow([page], 'three');
    await close([page, other]);
  } finally {
    await browser.close();
  }
});

test('tabs that were offline are at the newest version once they are online', async () => {
  publish('offline.txt', 'one');
  const pages = [await watchIn('offline.txt'), await watchIn('offline.txt')];
  await allShow(pages, 'one');
  await s.browser.context.setOffline(true);
  try {
    publish('offline.txt', 'two');
    publish('offline.txt', 'three');
  } finally {
    await s.browser.context.setOffline(false);
  }
  await allShow(pages, 'three');
  await close(pages);
});

test('a server that is killed and started again, with its history and without', async () => {
  publish('killed.txt', 'one');
  const pages = [await watchIn('killed.txt'), await watchIn('killed.txt')];
  await allShow(pages, 'one');
  publish('killed.txt', 'two');
  await s.server.restart('SIGKILL', async () => publish('killed.txt', 'three'));
  await allShow(pages, 'three');
  await s.server.restart('SIGTERM');
  publish('killed.txt', 'four');
  await allShow(pages, 'four');
  s.link.requests.length = 0;
  await s.server.forget();
  publish('killed.txt', 'five');
  await allShow(pages, 'five');
  assert.ok(asked('killed.txt').length < 30, `${asked('killed.txt').length} requests`);
  await close(pages);
});

test('events that are lost, the last one too', async () => {
  publish('lost.txt', '0');
  const pages = [await watchIn('lost.txt')];
  await allShow(pages, '0');
  await leaderOf(pages, 'lost.txt');
  await during(
    // The stream of this moment ends; the next one loses each head but the first.
    (request) => {
      if (!isLive(request)) return undefined;
      let heads = 0;
      const edit = (bytes) => (bytes.includes('event: head') && 1 < (heads += 1) ? undefined : bytes);
      return { edit };
    },
    async () => {
      await s.server.restart('SIGKILL');
      await leaderOf(pages, 'lost.txt');
      publish('lost.txt', '1');
      await allShow(pages, '1');
      publish('lost.txt', '2');
      await allShow(pages, '2');
    },
  );
  await close(pages);
});

const BETWEEN = {
  'holds the answer back': () => ({ never: true }),
  'holds the body back': () => ({ stall: 0 }),
  'cuts streams': () => ({ cut: 400 }),
  'cuts streams before the first event': () => ({ cut: 0 }),
  'closes connections': () => ({ hangUp: true }),
  'answers HTML': () => ({ html: '<!doctype html><title>Welcome to our network</title>' }),
  'answers that it is busy': () => ({ busy: '1' }),
  'answers 502': () => ({ status: 502 }),
};

for (const [what, fault] of Object.entries(BETWEEN)) {
  test(`something between that ${what}: the page still sees each version`, async () => {
    publish('between.txt', 'one');
    s.link.requests.length = 0;
    await during(
      (request) => (isLive(request) ? fault() : undefined),
      async () => {
        const pages = [await watchIn('between.txt'), await watchIn('between.txt')];
        await allShow(pages, 'one');
        for (const text of ['two', 'three']) {
          publish('between.txt', text);
          await allShow(pages, text);
        }
        await close(pages);
      },
    );
    assert.ok(asked('between.txt').length < 40, `${asked('between.txt').length} requests`);
  });
}

test('a stream that stalls after its first event is dead after a while', async () => {
  publish('stalls.txt', 'one');
  let streams = 0;
  let isStalled = false;
  await during(
    (request) => {
      if (!isLive(request)) return undefined;
      streams += 1;
      const edit = (bytes) => {
        const piece = isStalled ? undefined : bytes;
        isStalled = true;
        return piece;
      };
      return streams === 1 ? { edit } : undefined;
    },
    async () => {
      const pages = [await watchIn('stalls.txt')];
      await allShow(pages, 'one');
      await eventually(() => isStalled);
      publish('stalls.txt', 'two');
      await allShow(pages, 'two');
      assert.equal(streams, 2);
      await close(pages);
    },
  );
});

test('a machine that slept begins a new stream at once', async () => {
  publish('slept.txt', 'one');
  const page = await watchIn('slept.txt');
  await allShow([page], 'one');
  await leaderOf([page], 'slept.txt');
  const before = asked('slept.txt.driblet/live').length;
  await page.evaluate(() => {
    const { now } = Date;
    Date.now = () => now() + 3_600_000;
  });
  await eventually(() => before < asked('slept.txt.driblet/live').length);
  publish('slept.txt', 'two');
  await allShow([page], 'two');
  await page.close();
});

test('credentials that expire end the watching, unless they are renewed', async () => {
  publish('guarded.txt', 'one');
  let token = 'first';
  const guard = (request) =>
    request.url.startsWith('/guarded.txt') && request.headers['x-token'] !== token ? { status: 401 } : undefined;
  await during(guard, async () => {
    const headers = { 'x-token': 'first' };
    const [without, renewing] = [
      await watchIn('guarded.txt', { headers }),
      await watchIn('guarded.txt', { headers, renews: 'second', scope: 'other' }),
    ];
    await allShow([without, renewing], 'one');
    await eventually(() => streams('guarded.txt').length === 2);
    token = 'second';
    await s.server.restart('SIGKILL', async () => publish('guarded.txt', 'two'));
    await allShow([renewing], 'two');
    await eventually(() => without.evaluate(() => globalThis.ended));
    const ended = await without.evaluate(() => globalThis.ended);
    assert.match(ended, /^SyncError: the server needs other credentials \(status 401\); renewHeaders can/);
    assert.deepEqual(
      (await seenBy(without)).map(({ text }) => text),
      ['one'],
    );
    await close([without, renewing]);
  });
});

test('an aborted watch rejects with the reason, and a loop that is left ends it', async () => {
  publish('left.txt', 'one');
  const page = await watchIn('left.txt');
  await allShow([page], 'one');
  await page.evaluate(() => stop.abort(new Error('enough')));
  await eventually(async () => (await page.evaluate(() => globalThis.ended)) === 'Error: enough');
  await eventually(() => streams('left.txt').length === 0);
  const left = await page.evaluate(async () => {
    const { watch } = await import('/.driblet/client.js');
    for await (const handle of watch('/left.txt')) {
      handle.close();
      return handle.version;
    }
  });
  assert.equal(left.length, 64);
  await eventually(() => streams('left.txt').length === 0);
  await assertNothingLeft(page);
  const refused = await page.evaluate(async () => {
    const { watch } = await import('/.driblet/client.js');
    const ends = (url, options) =>
      watch(url, options)
        .next()
        .then(
          () => 'yields',
          ({ name, message }) => `${name}: ${message}`,
        );
    return [
      await ends('/missing.txt'),
      await ends('/left.txt', { renewHeaders: 'x' }),
      await ends('/left.txt', { version: '0'.repeat(64) }),
      await ends('/', {}),
    ];
  });
  assert.match(refused[0], /^SyncError: /);
  assert.match(refused[1], /^TypeError: renewHeaders must be a function/);
  assert.match(refused[2], /^TypeError: version must be left out/);
  assert.match(refused[3], /^SyncError: /);
  await page.close();
});

test('a delta that comes with its event needs no request', async () => {
  publish('inline.txt', '0');
  const page = await watchIn('inline.txt');
  await allShow([page], '0');
  await leaderOf([page], 'inline.txt');
  // A delta that the server makes too late for the event is asked for.
  let version = 0;
  await eventually(async () => {
    version += 1;
    publish('inline.txt', `${version}`);
    await allShow([page], `${version}`);
    return (await seenBy(page)).at(-1).requests === 0;
  });
  await page.close();
});

test('the tabs of a browser see each version of a directory, and never a mixture', async () => {
  const write = (number) => {
    for (const name of ['a.txt', 'b.txt', 'c.txt']) writeFileSync(join(s.server.root, 'app', name), `${number}`);
    return s.server.snapshot('app');
  };
  mkdirSync(join(s.server.root, 'app'), { recursive: true });
  await write(0);
  const pages = [];
  for (let tab = 0; tab < 3; tab += 1) {
    const page = await open(s.browser, s.link.url);
    pages.push(page);
    await page.evaluate(async () => {
      const { watchDirectory } = await import('/.driblet/client.js');
      globalThis.seen = [];
      globalThis.watching = (async () => {
        for await (const app of watchDirectory('/app/')) {
          const texts = await Promise.all(app.paths().map(async (path) => (await app.file(path)).text()));
          seen.push({ text: [...new Set(texts)].join() });
          app.close();
        }
      })();
    });
  }
  await allShow(pages, '0');
  await leaderOf(pages, 'app/');
  for (const number of [1, 2, 3]) {
    await write(number);
    await allShow(pages, `${number}`);
  }
  for (const page of pages) for (const { text } of await seenBy(page)) assert.match(text, /^[0-3]$/);
  await close(pages);
});

test('over HTTP/1.1 two streams are open at most, and other files are polled', async () => {
  const names = ['first.txt', 'second.txt', 'third.txt', 'fourth.txt'];
  const pages = [];
  for (const name of names) {
    publish(name, 'one');
    pages.push(await watchIn(name));
  }
  await allShow(pages, 'one');
  const open = () => names.flatMap(streams).length;
  await eventually(() => open() === 2);
  for (const name of names) publish(name, 'two');
  await allShow(pages, 'two');
  assert.equal(open(), 2);
  // A tab that ends makes room for another stream.
  await pages.shift().close();
  await eventually(() => open() === 2 && streams(names[0]).length === 0);
  await close(pages);
});

test('a page without locks polls', async () => {
  publish('unlocked.txt', 'one');
  const page = await s.browser.context.newPage();
  await page.goto(s.link.url.replace('127.0.0.1', PLAIN_HOST));
  assert.equal(await page.evaluate(() => navigator.locks), undefined);
  await start(page, 'unlocked.txt');
  await allShow([page], 'one');
  publish('unlocked.txt', 'two');
  await allShow([page], 'two');
  assert.equal(asked('unlocked.txt.driblet/live').length, 0);
  await page.close();
});

for (const [name, what, isLost] of [
  ['turns.txt', '', () => false],
  [
    'unheard.txt',
    ' to what it synced before it heard of any head',
    ({ url }) => isLive({ url }) || url.endsWith('.driblet/head'),
  ],
])
  test(`while an old and a new server answer in turn, a page does not go back${what}`, async () => {
    publish(name, 'old');
    const page = await during(
      (request) => (isLost(request) ? { hangUp: true } : undefined),
      async () => {
        const page = await watchIn(name);
        await allShow([page], 'old');
        await eventually(() => page.hasAsked);
        // The new server has another history.
        await s.server.forget();
        publish(name, 'new');
        return page;
      },
    );
    await allShow([page], 'new');
    // The old one again: its answers are doubtful.
    const { version, ...head } = await (await fetch(new URL(`/${name}.driblet/head`, s.server.url))).json();
    const stale = { ...head, epoch: '0'.repeat(16), version: await oldVersion(page, version) };
    let answers = 0;
    await during(
      (request) => {
        if (!isLive(request)) return undefined;
        // The stream begins with what the old server says.
        const edit = (bytes) => {
          answers += 1;
          return answers === 1 ? Buffer.from(`event: head\ndata: ${JSON.stringify(stale)}\n\n`) : bytes;
        };
        return { edit };
      },
      async () => {
        await s.server.restart('SIGKILL');
        await eventually(() => 0 < answers);
        publish(name, 'newer');
        await allShow([page], 'newer');
      },
    );
    assert.deepEqual(
      (await seenBy(page)).map(({ text }) => text),
      ['old', 'new', 'newer'],
    );
    await page.close();
  });

/** The version that a page saw before another one. */
async function oldVersion(page, version) {
  const versions = (await seenBy(page)).map((each) => each.version);
  return versions[versions.indexOf(version) - 1];
}

test('a page that was hidden for minutes lets go of the stream, and catches up when it is visible', async () => {
  publish('hidden.txt', 'one');
  const page = await watchIn('hidden.txt');
  await allShow([page], 'one');
  await leaderOf([page], 'hidden.txt');
  const setVisibility = (state) =>
    page.evaluate((state) => {
      globalThis.setOften ??= setTimeout;
      // The minutes pass at once.
      globalThis.setTimeout = (work, wait) => setOften(work, 60_000 < wait ? 0 : wait);
      Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, state);
  await setVisibility('hidden');
  await eventually(() => streams('hidden.txt').length === 0);
  await assertNothingLeft(page);
  publish('hidden.txt', 'two');
  await setVisibility('visible');
  await allShow([page], 'two');
  assert.equal(streams('hidden.txt').length, 1);
  await page.close();
});

test('a tab that holds the lock and does nothing loses it', async () => {
  publish('hangs.txt', 'one');
  const page = await watchIn('hangs.txt');
  await allShow([page], 'one');
  await leaderOf([page], 'hangs.txt');
  const other = await open(s.browser, s.link.url);
  // Seconds pass in moments, in the tab that waits.
  await other.evaluate(() => {
    const { setInterval } = globalThis;
    globalThis.setInterval = (work, wait) => setInterval(work, wait / 50);
  });
  await start(other, 'hangs.txt');
  await allShow([other], 'one');
  // This lock is taken when the first tab ends, before the second one asks.
  const name = await page.evaluate(async () => {
    const { held } = await navigator.locks.query();
    return held.map(({ name }) => name).find((name) => name.startsWith('driblet live'));
  });
  await s.page.evaluate((name) => {
    void navigator.locks.request(name, { steal: true }, () => new Promise(() => {})).catch(() => {});
  }, name);
  publish('hangs.txt', 'two');
  await allShow([other, page], 'two');
  await close([page, other]);
});

/** The code of a recipe in the README, after the line that says what it is. */
function recipe(title) {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const found = readme.split(`${title}:\n\n\`\`\`js\n`)[1];
  return found.slice(0, found.indexOf('```'));
}

/** The bytes of a wasm module whose function `value` returns a number below 64. */
const moduleOf = (number) =>
  Buffer.from([
    ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0],
    ...[7, 9, 1, 5, ...Buffer.from('value'), 0, 0, 10, 6, 1, 4, 0, 65, number, 11],
  ]);

test('the recipes: a style sheet, a wasm module and a hook for React follow without a reload', async () => {
  const here = fileURLToPath(new URL('../..', import.meta.url));
  const { outputFiles } = await build({
    stdin: {
      contents: `import { createElement } from 'react';
        import { createRoot } from 'react-dom/client';
        import { watch } from '/.driblet/client.js';
        ${recipe('A hook for React')}
        const Shown = () => createElement('p', {}, useJson('/hook.json')?.text);
        createRoot(document.body).render(createElement(Shown));`,
      resolveDir: here,
    },
    ...{ bundle: true, format: 'esm', write: false, external: ['/.driblet/client.js'] },
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  writeFileSync(join(s.server.root, 'hook.js'), outputFiles[0].text);
  const show = (number) => {
    publish('theme.css', `body { color: rgb(${number}, 0, 0) }`);
    publish('filter.wasm', moduleOf(number));
    publish('hook.json', JSON.stringify({ text: `number ${number}` }));
  };
  show(1);
  const page = await open(s.browser, s.link.url);
  const run = (title) =>
    page.evaluate((code) => {
      const AsyncFunction = (async () => {}).constructor;
      void new AsyncFunction('watch', `let filter; globalThis.value = () => filter?.value(); ${code}`)(watch);
    }, recipe(title));
  await page.evaluate(async () => {
    globalThis.watch = (await import('/.driblet/client.js')).watch;
  });
  await run('A style sheet that is replaced without a reload');
  await run('A wasm module');
  await page.evaluate(() => import('/hook.js'));
  for (const number of [1, 2, 3]) {
    show(number);
    await page.waitForFunction(
      (number) =>
        getComputedStyle(document.body).color === `rgb(${number}, 0, 0)` &&
        globalThis.value?.() === number &&
        document.body.textContent === `number ${number}`,
      number,
    );
  }
  await page.close();
});
