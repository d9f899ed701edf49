// Thirty builds by vite of a React app that a service worker serves, and pages that read files all the time: no page ever
// gets a file of another build than the one with which it was loaded.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { launch } from '../support/browser.mjs';
import { binary, serve } from '../support/driblet.mjs';
import { temporaryFolder } from '../support/folder.mjs';
import { CHANGES, buildInto, isSame, makeApp, tree, write } from '../support/react-app.mjs';

/** How many pages are open at once. */
const OPEN = 3;

const copy = join(temporaryFolder('vite-pages'), 'copy');

test('pages of a site that is built thirty times', async () => {
  const server = await serve();
  after(() => server.close());
  const browser = await launch();
  after(() => browser.close());
  makeApp();
  write('public/worker.js', "importScripts('/.driblet/service-worker.js');\ndriblet.serveDirectory('/');\n");
  let counter = 0;

  /** Builds, and waits until the whole build is published. Returns its files and its version. */
  async function publish() {
    const built = await buildInto(server.root);
    for (;;) {
      const head = await (await fetch(new URL(`.driblet/head?since=${counter}&wait=60`, server.url))).json();
      await promisify(execFile)(binary, ['pull', server.url.href, copy]);
      counter = head.counter;
      if (isSame(tree(copy), built)) return { built, version: head.version };
    }
  }

  /** What pages read. The worker's own script always comes from the network, where a build may be half written. */
  const digests = (built) =>
    [...built]
      .filter(([path]) => path !== 'worker.js')
      .map(([path, bytes]) => [path, createHash('sha256').update(bytes).digest('hex')]);

  /** Opens a page, and has it read all files of its build again and again. */
  async function visit(built) {
    const page = await browser.context.newPage();
    await page.goto(server.url.href);
    await page.waitForSelector('img[alt]');
    await page.evaluate((files) => {
      const hex = (digest) => Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
      const reading = { wrong: [], rounds: 0, isEnded: false };
      async function read() {
        while (!reading.isEnded || reading.rounds === 0) {
          for (const [path, expected] of files) {
            const response = await fetch(`/${path}`);
            const digest = hex(await crypto.subtle.digest('SHA-256', await response.arrayBuffer()));
            if (digest !== expected) reading.wrong.push([path, response.status]);
          }
          reading.rounds += 1;
        }
        return reading;
      }
      globalThis.end = () => {
        reading.isEnded = true;
        return done;
      };
      const done = read();
    }, digests(built));
    return page;
  }

  async function close(page) {
    const { wrong, rounds } = await page.evaluate(() => end());
    assert.deepEqual(wrong, []);
    assert.ok(0 < rounds);
    await page.close();
  }

  /** Waits until the worker has stored a version. */
  function stored(page, version) {
    return page.evaluate(
      (version) =>
        new Promise((resolve) => {
          const { serviceWorker } = navigator;
          const ask = () => serviceWorker.controller.postMessage('driblet check');
          serviceWorker.addEventListener('message', ({ data }) => {
            if (data.driblet === 'ready') data.version === version ? resolve() : ask();
          });
          serviceWorker.startMessages();
          ask();
        }),
      version,
    );
  }

  const first = await publish();
  const entry = await browser.context.newPage();
  await entry.goto(server.url.href);
  await entry.evaluate(async () => {
    const controlled = new Promise((resolve) => navigator.serviceWorker.addEventListener('controllerchange', resolve));
    await navigator.serviceWorker.register('/worker.js');
    await controlled;
    const { syncDirectory } = await import('/.driblet/directories.js');
    (await syncDirectory('/')).close();
  });
  await entry.close();
  const pages = [await visit(first.built)];
  for (let round = 0; round < 3; round += 1) {
    for (const [name, change] of Object.entries(CHANGES)) {
      change(round);
      const { built, version } = await publish();
      await stored(pages.at(-1), version);
      const page = await visit(built);
      pages.push(page);
      assert.equal(await page.evaluate(() => navigator.serviceWorker.controller !== null), true, name);
      if (OPEN < pages.length) await close(pages.shift());
    }
  }
  for (const page of pages) await close(page);
});
