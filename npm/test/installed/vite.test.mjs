// The installed package's driblet/vite, in a project with a configuration in TypeScript: the commands `vite build` and
// `vite preview`, and Chromium.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { binary } from '../support/driblet.mjs';
import { assertTypesRight, useInstalled } from '../support/installed.mjs';
import { whenStarted } from '../support/program.mjs';
import { serveFolder } from '../support/vite-app.mjs';

const modules = fileURLToPath(new URL('../../node_modules', import.meta.url));
const vite = join(modules, 'vite', 'bin', 'vite.js');
const s = useInstalled(() => {
  for (const name of ['vite', '@types']) symlinkSync(join(modules, name), join(s.packed.folder, 'node_modules', name));
});

/** Writes a project whose page syncs the page itself, through the preview. Returns its folder. */
function newProject() {
  const folder = join(realpathSync(s.packed.folder), 'app');
  mkdirSync(folder);
  const write = (name, text) => writeFileSync(join(folder, name), text);
  write('index.html', '<!doctype html><title>app</title><script type="module" src="./main.js"></script>');
  write(
    'main.js',
    `import { sync } from 'driblet';
const handle = await sync('/index.html');
globalThis.done = new TextDecoder().decode(await handle.bytes());`,
  );
  write(
    'vite.config.ts',
    `import driblet, { type DribletOptions } from 'driblet/vite';
import { defineConfig } from 'vite';

const options: DribletOptions = { binary: ${JSON.stringify(binary)}, serve: ['--no-watch'] };
export default defineConfig({ plugins: [driblet(options)] });
`,
  );
  return folder;
}

test('a project builds, its server publishes at once, and its preview serves a page that syncs', async () => {
  const folder = newProject();
  mkdirSync(join(folder, 'dist'));
  const server = await serveFolder(join(folder, 'dist'), '--no-watch');
  const env = { ...process.env, NO_COLOR: '1' };
  const { stdout } = await promisify(execFile)(process.execPath, [vite, 'build'], { cwd: folder, env });
  const [, version] = /^driblet: published \/ as ([0-9a-f]{64}), \d files$/m.exec(stdout);
  const head = await (await fetch(new URL('.driblet/head', server.url))).json();
  assert.deepEqual([head.version, head.counter], [version, 1]);
  await server.stop();

  const preview = spawn(process.execPath, [vite, 'preview', '--port', '0', '--host', '127.0.0.1'], {
    cwd: folder,
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { found, stop } = await whenStarted(preview, preview.stdout, /Local: +(http:\S+)/, 'vite preview');
  after(stop);
  const page = await s.browser.context.newPage();
  await page.goto(found[1]);
  await page.waitForFunction(() => globalThis.done, null, { timeout: 30_000 });
  const [synced, shown] = await page.evaluate(async () => [done, await (await fetch('/index.html')).text()]);
  assert.equal(synced, shown);
  assert.match(shown, /assets\/index-/);
  await page.close();
});

test('the types fit those of vite, and need none of them', () => {
  const write = (name, text) => writeFileSync(join(s.packed.folder, name), text);
  write(
    'with.ts',
    `import driblet from 'driblet/vite';
import { defineConfig, type PluginOption } from 'vite';
export const plugin: PluginOption = driblet({ history: 'history', path: 'app/', timeout: Infinity, preview: false });
export default defineConfig({ plugins: [driblet()] });
`,
  );
  write(
    'without.ts',
    `import driblet, { type DribletOptions, type DribletPlugin } from 'driblet/vite';
const options: DribletOptions = { root: 'dist', binary: 'driblet', serve: ['--private'] };
export const plugin: DribletPlugin = driblet(options);
// @ts-expect-error a text is no list
export const wrong: DribletOptions = { serve: '--private' };
`,
  );
  // vite's own types are not for strict projects without Node's.
  assertTypesRight(s.packed, ['with.ts'], '--skipLibCheck', '--exactOptionalPropertyTypes');
  assertTypesRight(s.packed, ['without.ts'], '--lib', 'es2022', '--typeRoots', 'none');
});
