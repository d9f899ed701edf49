// The installed package with each bundler in the README, by the README's recipe: built, served by driblet, run in
// Chromium.
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { build as esbuild } from 'esbuild';
import { build as viteBuild, createServer } from 'vite';
import webpack from 'webpack';
import { release, serve } from '../support/driblet.mjs';
import { useInstalled } from '../support/installed.mjs';
import { digestOf } from '../support/site.mjs';

const FILE = release('5.9.2', 'lib.dom.d.ts');
const POLICY = `<meta http-equiv="content-security-policy" content="script-src 'self' 'wasm-unsafe-eval'">`;
const s = useInstalled(() => s.server.publish('lib.d.ts', FILE));

/** Writes an app of one script. Returns its folder. */
function app(name, { configuration = '', head = '' } = {}) {
  const folder = join(s.packed.folder, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'main.js'),
    `
    import { configure, sync } from 'driblet';
    configure({${configuration}});
    const handle = await sync(new URLSearchParams(location.search).get('url') ?? '/lib.d.ts');
    globalThis.done = { version: handle.version, warning: handle.warning, digest: crypto.subtle.digest('SHA-256', await handle.bytes()) };
  `,
  );
  writeFileSync(
    join(folder, 'index.html'),
    `<!doctype html><title>app</title>${head}<script type="module" src="./main.js"></script>`,
  );
  return folder;
}

/** Opens an app's page. Fails unless it syncs the file, in a worker, into the file store. */
async function assertSyncs(url) {
  const page = await s.browser.context.newPage();
  const said = [];
  page.on('console', (message) => said.push(message.text()));
  page.on('pageerror', (error) => said.push(String(error)));
  await page.goto(url);
  await page
    .waitForFunction(() => globalThis.done, null, { timeout: 30_000 })
    .catch(() => assert.fail(said.join('\n') || 'the app said nothing'));
  const { digest, warning } = await page.evaluate(async () => {
    const hex = Array.from(new Uint8Array(await done.digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
    return { digest: hex, warning: done.warning };
  });
  assert.deepEqual([digest, warning], [digestOf(FILE), undefined]);
  assert.equal(page.workers().length, 1, said.join('\n'));
  await page.close();
}

/** Copies a built app to where driblet serves it. */
function publish(folder, name) {
  cpSync(folder, join(s.server.root, name), { recursive: true });
  return new URL(`${name}/index.html`, s.server.url).href;
}

test('vite, built', async () => {
  const root = app('vite-build', { head: POLICY });
  await viteBuild({ root, base: './', logLevel: 'error', configFile: false });
  await assertSyncs(publish(join(root, 'dist'), 'vite'));
});

test('vite, while developing', async () => {
  const root = app('vite-dev');
  const dev = await createServer({
    root,
    configFile: false,
    logLevel: 'error',
    optimizeDeps: { exclude: ['driblet'] },
    server: { host: '127.0.0.1', port: 0, fs: { strict: false }, hmr: false },
  });
  await dev.listen();
  const origin = `http://127.0.0.1:${dev.httpServer.address().port}`;
  const data = await serve('--allow-origin', origin);
  try {
    data.publish('lib.d.ts', FILE);
    await assertSyncs(`${origin}/?url=${new URL('lib.d.ts', data.url).href}`);
  } finally {
    await dev.close();
    await data.close();
  }
});

/** Builds with webpack. Fails if it reports anything. */
async function runWebpack(options) {
  const stats = await new Promise((resolve, reject) => {
    const compiler = webpack(options);
    compiler.run((error, stats) => (error ? reject(error) : compiler.close(() => resolve(stats))));
  });
  const { errors, warnings } = stats.toJson({ all: false, errors: true, warnings: true });
  assert.deepEqual([errors, warnings], [[], []]);
}

test('webpack 5', async () => {
  const root = app('webpack', { head: POLICY });
  const output = join(root, 'dist');
  await runWebpack({ context: root, mode: 'production', entry: './main.js', output: { path: output } });
  writeFileSync(
    join(output, 'index.html'),
    readFileSync(join(root, 'index.html'), 'utf8').replace('type="module"', 'defer'),
  );
  await assertSyncs(publish(output, 'webpack'));
});

test('esbuild', async () => {
  const root = app('esbuild', { head: POLICY, configuration: "wasmUrl: 'driblet_bg.wasm'" });
  const output = join(root, 'dist');
  const driblet = join(s.packed.folder, 'node_modules', 'driblet');
  await esbuild({
    absWorkingDir: root,
    entryPoints: { main: 'main.js', worker: join(driblet, 'dist', 'worker.js') },
    bundle: true,
    format: 'esm',
    outdir: output,
    logLevel: 'error',
  });
  copyFileSync(join(driblet, 'wasm', 'driblet_bg.wasm'), join(output, 'driblet_bg.wasm'));
  copyFileSync(join(root, 'index.html'), join(output, 'index.html'));
  await assertSyncs(publish(output, 'esbuild'));
});

/** Writes an app whose service worker answers `?synced` with a file that driblet/inline syncs. Returns its folder. */
function serviceApp(name, configuration = '') {
  const folder = join(s.packed.folder, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'sw.js'),
    `
    import { configure, sync } from 'driblet/inline';
    configure({${configuration}});
    addEventListener('install', () => skipWaiting());
    addEventListener('activate', (event) => event.waitUntil(clients.claim()));
    addEventListener('fetch', (event) => {
      if (event.request.url.endsWith('?synced')) event.respondWith(sync('/lib.d.ts').then((handle) => handle.response()));
    });
  `,
  );
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>app</title>');
  return folder;
}

/** Publishes a built app. Fails unless its service worker answers with the file. */
async function assertAnswers(root, name, type) {
  copyFileSync(join(root, 'index.html'), join(root, 'dist', 'index.html'));
  const page = await s.browser.context.newPage();
  await page.goto(publish(join(root, 'dist'), name));
  const digest = await page.evaluate(async (type) => {
    const controlled = new Promise((resolve) =>
      navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true }),
    );
    await navigator.serviceWorker.register('sw.js', { type });
    await controlled;
    const digest = await crypto.subtle.digest('SHA-256', await (await fetch('?synced')).arrayBuffer());
    return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }, type);
  assert.equal(digest, digestOf(FILE));
  await page.close();
}

test('vite, a service worker', async () => {
  const root = serviceApp('vite-service');
  const output = { entryFileNames: '[name].js' };
  await viteBuild({
    root,
    base: './',
    logLevel: 'error',
    configFile: false,
    build: { rollupOptions: { input: join(root, 'sw.js'), output } },
  });
  await assertAnswers(root, 'vite-service', 'module');
});

test('webpack 5, a service worker', async () => {
  const root = serviceApp('webpack-service');
  const output = { path: join(root, 'dist'), filename: 'sw.js' };
  await runWebpack({ context: root, mode: 'production', target: 'webworker', entry: './sw.js', output });
  await assertAnswers(root, 'webpack-service', 'classic');
});

test('esbuild, a service worker', async () => {
  const root = serviceApp('esbuild-service', "wasmUrl: 'driblet_bg.wasm'");
  const output = join(root, 'dist');
  await esbuild({
    absWorkingDir: root,
    entryPoints: ['sw.js'],
    bundle: true,
    format: 'esm',
    outdir: output,
    logLevel: 'error',
  });
  copyFileSync(
    join(s.packed.folder, 'node_modules', 'driblet', 'wasm', 'driblet_bg.wasm'),
    join(output, 'driblet_bg.wasm'),
  );
  await assertAnswers(root, 'esbuild-service', 'module');
});
