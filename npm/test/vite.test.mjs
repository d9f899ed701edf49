// A React app that vite builds again and again into the folder that a real `driblet serve` watches, and a real
// `driblet pull` after each build.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { brotliCompressSync } from 'node:zlib';
import { binary, serve } from './support/driblet.mjs';
import { temporaryFolder } from './support/folder.mjs';
import { CHANGES, DEPENDENCIES, PAGES, buildInto, isSame, makeApp, tree } from './support/react-app.mjs';

const copy = join(temporaryFolder('vite-copy'), 'copy');

/** The bytes that a browser would fetch: those of all files that are new or changed, each compressed by brotli -11. */
function compressed(old, fresh) {
  const known = new Set([...old.values()].map((bytes) => bytes.toString('latin1')));
  const changed = [...fresh.values()].filter((bytes) => !known.has(bytes.toString('latin1')));
  return changed.reduce((sum, bytes) => sum + brotliCompressSync(bytes).length, 0);
}

test('a folder that follows thirty builds', async (t) => {
  const server = await serve();
  after(() => server.close());
  makeApp();
  let counter = 0;
  let before = new Map();

  async function pull() {
    const { stdout } = await promisify(execFile)(binary, ['pull', server.url.href, copy, '--stats', 'json']);
    return JSON.parse(stdout);
  }

  /** Builds, and pulls what is published until that is the whole build. Returns the bytes that came. */
  async function follow(what) {
    const built = await buildInto(server.root);
    for (let received = 0; ; ) {
      const head = await (await fetch(new URL(`.driblet/head?since=${counter}&wait=60`, server.url))).json();
      const pulled = await pull();
      received += pulled.received;
      const held = tree(copy);
      if (isSame(held, built)) {
        counter = head.counter;
        return { received, built };
      }
      // A slow build may be published before it is complete.
      assert.notEqual(head.counter, counter, `${what}: ${[...held.keys()]} instead of ${[...built.keys()]}`);
      counter = head.counter;
    }
  }

  ({ built: before } = await follow('the first build'));
  assert.ok([...before.keys()].filter((path) => /^assets\/.*-.{8}\.js$/.test(path)).length > PAGES.length);
  for (let round = 0; round < 3; round += 1) {
    for (const [name, change] of Object.entries(CHANGES)) {
      change(round);
      const { received, built } = await follow(name);
      // One new name of a file gives new names to all files that import it, so a browser fetches most of them anew.
      const fetched = compressed(before, built);
      t.diagnostic(`${name}: ${received} bytes received, ${fetched} compressed`);
      const limit = name === DEPENDENCIES ? fetched : fetched / 10;
      assert.ok(received < limit, `${name}: ${received} bytes received, ${fetched} compressed`);
      before = built;
    }
  }
});
