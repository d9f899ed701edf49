// What pages tell a server of their link.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { open } from '../support/browser.mjs';
import { isDelta } from '../support/proxy.mjs';
import { assertIs, useSite } from '../support/site.mjs';

const folder = mkdtempSync(join(tmpdir(), 'driblet-link-'));
after(() => rmSync(folder, { recursive: true }));
const [old, fresh] = ['old', 'fresh'].map((name) => join(folder, name));
const bytes = randomBytes(400_000);
writeFileSync(old, bytes);
writeFileSync(fresh, Buffer.concat([bytes, Buffer.from('more')]));

const s = useSite();

const syncing = (page, name) => () => page.evaluate((name) => attempt(name, { store: { kind: 'opfs', name } }), name);
const lastAccepted = () => s.link.requests.findLast(({ path }) => isDelta({ url: path })).accept;

test('a slow link is noticed, and told by the next syncs of the tab', async () => {
  s.server.publish('slow.bin', old);
  const page = await open(s.browser, s.link.url, undefined, { measuresLink: true });
  const sync = syncing(page, 'slow.bin');
  // 1.3 Mbit/s.
  s.link.fault = (asked) => (isDelta(asked) ? { pace: [16 << 10, 100] } : undefined);
  assertIs(await sync(), old);
  s.link.fault = () => undefined;
  s.server.publish('slow.bin', fresh);
  assertIs(await sync(), fresh);
  assert.equal(lastAccepted(), 'application/vnd.driblet.delta;codec=dense;link=slow, */*;q=0.5');
  // The next page of the tab knows it too.
  await page.reload();
  s.server.publish('slow.bin', old);
  const length = await page.evaluate(async () => {
    const { opfsStore, sync } = await import('/.driblet/client.js');
    const handle = await sync('slow.bin', { store: opfsStore('slow.bin') });
    return (await handle.bytes()).length;
  });
  assert.equal(length, bytes.length);
  assert.match(lastAccepted(), /;link=slow,/);
  await page.close();
});

test('who saves data has a slow link', async () => {
  s.server.publish('saving.bin', old);
  const page = await open(s.browser, s.link.url, undefined, { measuresLink: true });
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Emulation.setDataSaverOverride', { dataSaverEnabled: true });
  assertIs(await syncing(page, 'saving.bin')(), old);
  assert.match(lastAccepted(), /;codec=dense;link=slow,/);
  await page.close();
});
