// A file with a new name, and the version of another URL as its basis: in every store.
import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { release } from '../support/driblet.mjs';
import { assertIs, useSite } from '../support/site.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');

const s = useSite();

const isGrant = ({ path }) => path.includes('.driblet/grant-');

for (const kind of ['browser', 'opfs', 'indexeddb', 'memory']) {
  describe(`with the ${kind} store`, () => {
    const store = { kind, name: `basis-${kind}` };
    const attempt = (path, options) => s.attempt(path, { store, ...options });

    /** Stores a build under its name, and publishes the next one under another name. */
    async function renamed(name, next = fresh) {
      s.server.publish(`${name}.1.js`, old);
      assertIs(await attempt(`${name}.1.js`), old);
      s.server.publish(`${name}.2.js`, next);
      return [`${name}.1.js`, `${name}.2.js`];
    }

    test('the delta is made from the version of the other URL', async () => {
      const [before, after] = await renamed(`${kind}-direct`);
      const result = await attempt(after, { basis: `/${before}` });
      assertIs(result, fresh);
      assert.deepEqual([result.cost.basis, result.cost.requests, result.warning], ['version', 2, undefined]);
      assert.ok(result.cost.received < 200_000, `${result.cost.received} bytes`);
      // Both are stored, each under its URL.
      assert.equal((await attempt(after)).cost.basis, 'same');
      assert.equal((await attempt(before)).cost.basis, 'same');
    });

    test('a server that has forgotten it gets a signature', async () => {
      const [before, after] = await renamed(`${kind}-forgotten`);
      renameSync(join(s.server.root, before), join(s.server.root, `${kind}-elsewhere`));
      await s.server.forget();
      const result = await attempt(after, { basis: `/${before}` });
      assertIs(result, fresh);
      assert.deepEqual([result.cost.basis, result.cost.requests], ['matched', 3]);
    });

    test('a file that was only renamed is copied', async () => {
      const [before, after] = await renamed(`${kind}-same`, old);
      const result = await attempt(after, { basis: `/${before}` });
      assertIs(result, old);
      assert.equal(result.cost.basis, 'same');
      assert.ok(result.cost.received < 400, `${result.cost.received} bytes`);
      assert.equal((await attempt(after)).cost.requests, 1);
      const { version } = result;
      const [another] = await renamed(`${kind}-pinned`, old);
      const pinned = await attempt(`${kind}-pinned.2.js`, { basis: `/${another}`, version });
      assertIs(pinned, old);
      assert.equal(pinned.cost.requests, 0);
    });

    test('a sync that was cut off continues from it', async () => {
      const [before, after] = await renamed(`${kind}-cut`);
      const cut = await s.attemptCut(after, 10_000, { store, basis: `/${before}` });
      assert.equal(cut.code, 'network');
      s.link.requests.length = 0;
      const result = await attempt(after, { basis: `/${before}` });
      assertIs(result, fresh);
      assert.equal(result.cost.basis, 'version');
      assert.match(s.link.requests.find(({ range }) => range)?.range ?? '', /^bytes=[1-9]\d*-$/);
      assert.ok(s.link.requests.some(isGrant));
    });
  });
}

test('what is stored for the URL itself comes first', async () => {
  s.server.publish('own.1.js', old);
  s.server.publish('own.2.js', old);
  await s.attempt('own.1.js');
  await s.attempt('own.2.js');
  s.server.publish('own.2.js', fresh);
  s.link.requests.length = 0;
  const result = await s.attempt('own.2.js', { basis: '/own.1.js' });
  assertIs(result, fresh);
  assert.deepEqual([result.cost.basis, result.cost.requests], ['version', 1]);
  assert.ok(!s.link.requests.some(isGrant));
});

test('without a stored basis the file comes whole, in one request', async () => {
  s.server.publish('whole.js', fresh);
  const result = await s.attempt('whole.js', { basis: '/never-synced.js' });
  assertIs(result, fresh);
  assert.deepEqual([result.cost.basis, result.cost.requests], ['none', 1]);
});

test('a basis of another origin is signed', async () => {
  s.server.publish('near.js', fresh);
  // The same server by another name is another origin.
  const foreign = `http://localhost:${new URL(s.link.url).port}/foreign.js`;
  s.server.publish('foreign.js', old);
  s.link.fault = () => ({ headers: { 'access-control-allow-origin': '*' } });
  try {
    assertIs(await s.attempt(foreign, { credentials: 'omit' }), old);
    s.link.requests.length = 0;
    const result = await s.attempt('near.js', { basis: foreign });
    assertIs(result, fresh);
    assert.equal(result.cost.basis, 'matched');
    assert.ok(!s.link.requests.some(isGrant));
  } finally {
    s.link.fault = () => undefined;
  }
});

test('a damaged basis is not used, and the file comes whole', async () => {
  const store = { kind: 'opfs', name: 'basis-damaged' };
  s.server.publish('damaged.1.js', old);
  await s.attempt('damaged.1.js', { store });
  await s.page.evaluate(async (name) => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle(name);
    for await (const folder of root.values())
      for await (const file of folder.values()) {
        if (!/^[0-9a-f]{64}-/.test(file.name)) continue;
        const { size } = await file.getFile();
        const writable = await file.createWritable({ keepExistingData: true });
        for (let at = 0; at < size; at += 1000) await writable.write({ type: 'write', position: at, data: '#' });
        await writable.close();
      }
  }, store.name);
  for (const [name, next] of [
    ['damaged.2.js', fresh],
    ['damaged.3.js', old],
  ]) {
    s.server.publish(name, next);
    const result = await s.attempt(name, { store, basis: '/damaged.1.js' });
    assertIs(result, next);
    assert.equal(result.cost.basis, 'none');
  }
});

test('a basis must be a URL', async () => {
  const result = await s.attempt('whole.js', { basis: 42 });
  assert.match(result.message, /a URL must be a string or a URL/);
});
