// Ordinary syncs: the bytes, the basis and the cost.
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { open, whenIdle } from '../support/browser.mjs';
import { release } from '../support/driblet.mjs';
import { assertIs, digestOf, useSite } from '../support/site.mjs';

const old = release('5.9.2');
const fresh = release('5.9.3');
const s = useSite();

test('a first sync brings the file, a second finds it the same, a third brings only what changed', async () => {
  s.server.publish('first.js', old);
  const first = await s.attempt('/first.js');
  assertIs(first, old);
  assert.equal(first.length, statSync(old).size);
  assert.deepEqual([first.cost.basis, first.cost.requests, first.cost.reused], ['none', 1, 0]);

  const same = await s.attempt('/first.js');
  assert.equal(same.digest, first.digest);
  assert.deepEqual([same.cost.basis, same.cost.requests], ['same', 1]);
  assert.ok(
    same.cost.sent + same.cost.received <= 200,
    `${same.cost.sent} + ${same.cost.received} bytes for nothing new`,
  );

  s.server.publish('first.js', fresh);
  const next = await s.attempt('/first.js');
  assertIs(next, fresh);
  assert.deepEqual([next.cost.basis, next.cost.requests], ['version', 1]);
  assert.ok(next.cost.received <= 2000, `${next.cost.received} bytes received`);
  assert.ok(9_000_000 < next.cost.reused);
  for (const { cost } of [first, same, next]) {
    const { open, answer, apply } = cost.times;
    assert.ok(0 <= open && 0 <= answer && 0 <= apply, JSON.stringify(cost));
    assert.ok(Math.abs(open + answer + apply - cost.elapsed) < 0.001, JSON.stringify(cost));
  }
});

test('a version that the server does not know: a signature is sent, and only what does not match is received', async () => {
  s.server.publish('forgotten.js', old);
  await s.attempt('/forgotten.js');
  s.server.publish('forgotten.js', fresh);
  await s.server.forget();
  const matched = await s.attempt('/forgotten.js');
  assertIs(matched, fresh);
  assert.deepEqual([matched.cost.basis, matched.cost.requests], ['matched', 2]);
  assert.ok(
    matched.cost.sent + matched.cost.received <= 30_000,
    `${matched.cost.sent} + ${matched.cost.received} bytes`,
  );
});

test('a stored version stays when the page ends, and another page of the origin syncs from it', async () => {
  s.server.publish('pages.js', old);
  await s.attempt('/pages.js');
  const other = await open(s.browser, s.link.url);
  const found = await other.evaluate(() => attempt('/pages.js'));
  assert.equal(found.cost.basis, 'same');
  await other.close();
});

test('a new page asks for the delta while its worker starts, and asks once', async () => {
  s.server.publish('early.js', old);
  await s.attempt('/early.js');
  s.server.publish('early.js', fresh);
  const other = await open(s.browser, s.link.url);
  s.link.requests.length = 0;
  const found = await other.evaluate(() => attempt('/early.js'));
  assertIs(found, fresh);
  assert.deepEqual([found.cost.basis, found.cost.requests], ['version', 1]);
  assert.equal(s.link.requests.filter(({ path }) => path.includes('early.js')).length, 1);
  await other.close();
});

test('two syncs of one URL at once get the same version, one after the other', async () => {
  s.server.publish('twice.js', old);
  const other = await open(s.browser, s.link.url);
  const results = await Promise.all([
    s.attempt('/twice.js'),
    s.attempt('/twice.js'),
    other.evaluate(() => attempt('/twice.js')),
  ]);
  assert.deepEqual(
    results.map(({ digest }) => digest),
    Array(3).fill(digestOf(old)),
  );
  assert.deepEqual(results.map(({ cost }) => cost.basis).sort(), ['none', 'same', 'same']);
  await other.close();
});

test('a handle reads its version while it is open, even if newer ones are synced; then the file is deleted', async () => {
  s.server.publish('held.js', old);
  await s.page.evaluate(async () => {
    globalThis.held = await sync('/held.js');
  });
  s.server.publish('held.js', fresh);
  const next = await s.attempt('/held.js');
  assertIs(next, fresh);
  assert.equal(await s.page.evaluate(async () => digest(await held.bytes())), digestOf(old));
  assert.equal(
    await s.page.evaluate(async () => digest(await new Response(held.stream()).arrayBuffer())),
    digestOf(old),
  );
  await whenIdle(s.page, { name: 'driblet' }, '/held.js');
  const stored = () =>
    s.page.evaluate(
      async (version) => (await files()).filter(({ name }) => name.startsWith(version)).length,
      oldVersion,
    );
  const oldVersion = await s.page.evaluate(() => held.version);
  assert.equal(await s.page.evaluate(() => held.version.length), 64);
  const before = await stored();
  await s.page.evaluate(() => held.close());
  await s.attempt('/held.js');
  await whenIdle(s.page, { name: 'driblet' }, '/held.js');
  assert.equal(await stored(), before - 1);
});

test('a response has the bytes, their length, the version, and what init adds', async () => {
  s.server.publish('response.js', old);
  const seen = await s.page.evaluate(async () => {
    const handle = await sync('/response.js');
    const response = handle.response({ headers: { 'content-type': 'text/javascript' } });
    const { headers } = response;
    const { length } = await response.text();
    handle.close();
    return [headers.get('content-type'), headers.get('etag') === `"${handle.version}"`, length];
  });
  assert.deepEqual(seen, ['text/javascript', true, statSync(old).size]);
});

test('a memory store keeps a version for the next sync of this page, and shares it with no other store', async () => {
  s.server.publish('memory.js', old);
  const bases = await s.page.evaluate(async () => {
    const store = memoryStore();
    const results = [
      await attempt('/memory.js', { store }),
      await attempt('/memory.js', { store }),
      await attempt('/memory.js', { store: memoryStore() }),
    ];
    return results.map(({ cost }) => cost.basis);
  });
  assert.deepEqual(bases, ['none', 'same', 'none']);
});

test('a pinned version is fetched although it is not the head, and then needs no request', async () => {
  s.server.publish('pinned.js', old);
  const { version } = await s.attempt('/pinned.js');
  s.server.publish('pinned.js', fresh);
  assertIs(await s.attempt('/pinned.js'), fresh);
  const back = await s.attempt('/pinned.js', { version });
  assertIs(back, old);
  assert.deepEqual([back.cost.basis, back.cost.requests], ['version', 1]);
  assert.equal((await s.attempt('/pinned.js', { version })).cost.requests, 0);
});

test('a pinned version that never existed is refused', async () => {
  s.server.publish('never.js', old);
  const failed = await s.attempt('/never.js', { version: '0'.repeat(64) });
  assert.deepEqual([failed.name, failed.code], ['SyncError', 'protocol']);
});

test('a version beyond maxBytes is refused by the limit', async () => {
  s.server.publish('large.js', old);
  const failed = await s.attempt('/large.js', { maxBytes: 1_000_000 });
  assert.deepEqual([failed.code, failed.isSyncError], ['protocol', true]);
  assert.match(failed.message, /1000000 allowed/);
});

test('files of zero bytes and of one are versions like others', async () => {
  const { writeFileSync } = await import('node:fs');
  for (const content of ['', 'x', '', 'xy']) {
    writeFileSync(`${s.server.root}/small.txt`, content);
    const synced = await s.attempt('/small.txt');
    assert.equal(synced.length, content.length);
  }
});

test('progress ends with what was received and the length of the version', async () => {
  s.server.publish('progress.js', old);
  const reports = await s.page.evaluate(async () => {
    const reports = [];
    (await sync('/progress.js', { onProgress: (progress) => reports.push(progress) })).close();
    return reports;
  });
  assert.ok(0 < reports.length);
  for (const { received, written, length } of reports) assert.ok(0 < received && written <= (length ?? written));
});

test("a path that does not exist is a protocol error in the server's words", async () => {
  const failed = await s.attempt('/missing.js');
  assert.deepEqual([failed.name, failed.code], ['SyncError', 'protocol']);
});
