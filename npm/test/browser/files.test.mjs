// Resources that `driblet` lays out as files, on a file host without driblet.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { binary, release } from '../support/driblet.mjs';
import { serveFiles } from '../support/files.mjs';
import { assertIs, site } from '../support/site.mjs';
import { versionOf } from '../support/version.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');
let root;
let s;

before(async () => {
  root = mkdtempSync(join(tmpdir(), 'driblet-files-'));
  cpSync(fileURLToPath(new URL('../../../crates/driblet/client', import.meta.url)), join(root, '.driblet'), {
    recursive: true,
  });
  writeFileSync(join(root, 'index.html'), '<!doctype html><title>files</title>');
  s = await site(await serveFiles(root));
});
after(async () => {
  await s?.close();
  rmSync(root, { recursive: true, force: true });
});

/**
 * Makes `target` the head: writes the deltas from none, from `bases` and from itself, to the head and for the exact
 * pair.
 */
function publish(target, bases) {
  const folder = join(root, 'lib.d.ts.driblet');
  mkdirSync(folder, { recursive: true });
  const to = versionOf(readFileSync(target));
  for (const basis of ['/dev/null', target, ...bases]) {
    const from = basis === '/dev/null' ? 'none' : versionOf(readFileSync(basis));
    const pair = join(folder, `${from}-${to}`);
    execFileSync(binary, ['diff', '--output', pair, basis, target], { stdio: 'pipe' });
    rmSync(join(folder, from), { force: true });
    linkSync(pair, join(folder, from));
  }
}

test('a first sync and one from a stored version, each cut off: the next sync resumes by a range', async () => {
  publish(old, []);
  await assertResumes(old, 100_000);
  publish(fresh, [old]);
  await assertResumes(fresh, 3_000);
});

async function assertResumes(target, cut) {
  const failed = await s.attemptCut('/lib.d.ts', cut);
  assert.deepEqual([failed.name, failed.code], ['SyncError', 'network'], failed.message);
  s.link.requests.length = 0;
  const resumed = await s.attempt('/lib.d.ts');
  assertIs(resumed, target);
  assert.equal(s.link.requests[0].range, `bytes=${cut}-`);
}
