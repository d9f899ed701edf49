// The installed entry in a real Chromium: behind websocket-stream with browser-level, loaded by `require` as
// browser-sync-stream is; and with other bundlers, or none.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { build as esbuild } from 'esbuild';
import { build as viteBuild } from 'vite';
import webpack from 'webpack';
import { release } from '../support/driblet.mjs';
import { assertTypesRight, here, useInstalled } from '../support/installed.mjs';
import { chunksOf } from '../support/rabin.mjs';
import { answerLength, listLength, newLength, peerSend, websocketServer } from '../support/browser-sync-stream.mjs';

const POLICY = `<meta http-equiv="content-security-policy" content="script-src 'self' 'wasm-unsafe-eval'">`;
const FILES = { old: readFileSync(release('5.8.3')), fresh: readFileSync(release('5.9.2')) };
const CHUNKS = { old: chunksOf(FILES.old), fresh: chunksOf(FILES.fresh) };
const distinct = (chunks) => new Set(chunks.map(({ hash }) => hash)).size;
const digestOf = (bytes) => createHash('sha256').update(bytes).digest('hex');
const s = useInstalled();

/** The example of browser-sync-stream's README, with `require` changed and figures added. */
const ORIGINAL = `
  const receive = require('driblet/browser-sync-stream');
  const { Level } = require('level');
  const websocket = require('websocket-stream');
  globalThis.run = (url, wrap) => new Promise((resolve) => {
    const db = new Level('data.db');
    let [sent, received, downloaded] = [0, 0, 0];
    const stream = receive(db, async (error, data) => {
      const keys = (await db.keys().all()).sort();
      await db.close();
      const digest = data && new Uint8Array(await crypto.subtle.digest('SHA-256', data));
      const hex = digest && Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
      resolve({ error: error && error.code + ': ' + error.message, isBuffer: data && data._isBuffer, digest: hex, sent, received, downloaded, keys });
    });
    stream.on('download', (data) => (downloaded += data.length));
    let socket = url;
    if (wrap) {
      socket = new WebSocket(url);
      socket.binaryType = 'arraybuffer';
    }
    const transport = websocket(socket);
    transport.socket.addEventListener('message', ({ data }) => (received += data.byteLength));
    const { send } = transport.socket;
    transport.socket.send = function (data) {
      sent += data.length;
      return send.call(this, data);
    };
    stream.pipe(transport).pipe(stream);
  });
`;

/** The parts of Node that websocket-stream needs. */
const NODE = `
  export { Buffer } from 'buffer';
  export const process = { title: 'browser', browser: true, env: {}, version: '', nextTick: (call, ...values) => queueMicrotask(() => call(...values)) };
`;

/** Opens a page with a script, served by driblet. */
async function open(name, script, type = 'module') {
  mkdirSync(join(s.server.root, name), { recursive: true });
  if (script) writeFileSync(join(s.server.root, name, 'main.js'), script);
  writeFileSync(
    join(s.server.root, name, 'index.html'),
    `<!doctype html><title>browser-sync-stream</title>${POLICY}<script type="${type}" src="main.js"></script>`,
  );
  const page = await s.browser.context.newPage();
  page.on('pageerror', (error) => console.error(error));
  await page.goto(new URL(`${name}/index.html`, s.server.url).href);
  return page;
}

test("browser-sync-stream's example, against a server of its libraries and against driblet serve: a first sync, an update, no change", async (t) => {
  const folder = join(s.packed.folder, 'original');
  mkdirSync(folder);
  writeFileSync(join(folder, 'main.js'), ORIGINAL);
  writeFileSync(join(folder, 'node.js'), NODE);
  const { outputFiles } = await esbuild({
    absWorkingDir: folder,
    entryPoints: ['main.js'],
    bundle: true,
    format: 'iife',
    write: false,
    logLevel: 'error',
    platform: 'browser',
    define: { global: 'globalThis' },
    inject: ['node.js'],
    nodePaths: [join(here, 'node_modules')],
  });
  let wanted;
  const original = await websocketServer((stream) => peerSend(stream, CHUNKS[wanted]));
  t.after(original.close);
  const ours = new URL('file', s.server.url);
  ours.protocol = 'ws:';
  for (const [url, wrap] of [
    [original.url, false],
    [ours.href, false],
    [ours.href, true],
  ]) {
    const page = await open('original', outputFiles[0].text);
    await page.evaluate(
      () =>
        new Promise((resolve, reject) =>
          Object.assign(indexedDB.deleteDatabase('level-js-data.db'), { onsuccess: resolve, onerror: reject }),
        ),
    );
    for (const [held, name] of [
      [[], 'old'],
      [CHUNKS.old, 'fresh'],
      [CHUNKS.fresh, 'fresh'],
    ]) {
      wanted = name;
      writeFileSync(join(s.server.root, 'file'), FILES[name]);
      const { error, isBuffer, digest, sent, received, downloaded, keys } = await page.evaluate(
        ([url, wrap]) => run(url, wrap),
        [url, wrap],
      );
      assert.deepEqual([error, isBuffer, digest], [null, true, digestOf(FILES[name])]);
      const expected = [listLength(distinct(held)), answerLength(CHUNKS[name], held), newLength(CHUNKS[name], held)];
      assert.deepEqual([sent, received, downloaded], expected, `${url} ${name}`);
      assert.deepEqual(keys, [...new Set(CHUNKS[name].map(({ hash }) => hash))].sort());
    }
    const missing = await page.evaluate((url) => run(url), new URL('missing', ours).href);
    assert.equal(missing.error, 'protocol: the server closed with 4404: There is no file of that name here.');
    assert.equal(missing.keys.length, distinct(CHUNKS.fresh));
    await page.close();
  }
});

/** Without websocket-stream: a page uses its own WebSocket. */
const PLAIN = `
  globalThis.run = (url) => new Promise((resolve, reject) => {
    const stream = receive(database(), (error, file) => (error ? reject(error) : resolve(file.length)));
    const socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => stream.on('data', (piece) => socket.send(piece));
    socket.onmessage = ({ data }) => stream.write(new Uint8Array(data));
    socket.onclose = ({ code }) => (code === 1000 ? stream.end() : stream.destroy());
  });
  const database = () => ({ async *keys() {}, getMany: async (keys) => keys.map(() => undefined), batch: async () => {} });
`;

async function assertReceives(page) {
  writeFileSync(join(s.server.root, 'file'), FILES.old);
  const url = new URL('file', s.server.url);
  url.protocol = 'ws:';
  assert.equal(await page.evaluate((url) => run(url), url.href), FILES.old.length);
  await page.close();
}

/** A folder with an app in it. */
function app(name) {
  const folder = join(s.packed.folder, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'main.js'), `import receive from 'driblet/browser-sync-stream';${PLAIN}`);
  writeFileSync(
    join(folder, 'index.html'),
    `<!doctype html><title>browser-sync-stream</title>${POLICY}<script type="module" src="./main.js"></script>`,
  );
  return folder;
}

test('without a bundler', async () => {
  cpSync(join(s.packed.folder, 'node_modules', 'driblet'), join(s.server.root, 'driblet'), { recursive: true });
  await assertReceives(await open('plain', `import receive from '/driblet/dist/browser-sync-stream/page.js';${PLAIN}`));
});

test('vite', async () => {
  const root = app('vite');
  await viteBuild({ root, base: './', logLevel: 'error', configFile: false });
  cpSync(join(root, 'dist'), join(s.server.root, 'vite'), { recursive: true });
  const page = await s.browser.context.newPage();
  await page.goto(new URL('vite/index.html', s.server.url).href);
  await assertReceives(page);
});

test('webpack 5', async () => {
  const root = app('webpack');
  const stats = await new Promise((resolve, reject) => {
    const compiler = webpack({
      context: root,
      mode: 'production',
      entry: './main.js',
      output: { path: join(s.server.root, 'webpack') },
    });
    compiler.run((error, stats) => (error ? reject(error) : compiler.close(() => resolve(stats))));
  });
  const { errors } = stats.toJson({ all: false, errors: true });
  assert.deepEqual(errors, []);
  await assertReceives(await open('webpack', undefined, 'text/javascript'));
});

test('in Node, by require and by import: the module itself, and its exports', () => {
  const run = (...options) =>
    execFileSync(process.execPath, options, { cwd: s.packed.folder, encoding: 'utf8' }).trim();
  const names =
    "const { send, receive, SyncError } = browserSyncStream; console.log(browserSyncStream === send, typeof receive, new SyncError('network', 'x').code)";
  assert.equal(
    run('--input-type=commonjs', '-e', `const browserSyncStream = require('driblet/browser-sync-stream'); ${names}`),
    'true function network',
  );
  assert.equal(
    run(
      '--input-type=module',
      '-e',
      "import browserSyncStream, { send, receive, SyncError } from 'driblet/browser-sync-stream'; console.log(browserSyncStream === send, typeof receive, typeof SyncError)",
    ),
    'true function function',
  );
  // The entry that bundlers choose for pages.
  const page =
    "const browserSyncStream = require('driblet/browser-sync-stream'); console.log(browserSyncStream === browserSyncStream.receive, browserSyncStream.send)";
  assert.equal(run('--conditions=browser', '--input-type=commonjs', '-e', page), 'true undefined');
});

test('the types stand for themselves, in ESM and in CommonJS', () => {
  const use = `
const stream: NodeJS.ReadWriteStream = receive({}, { name: 'a' }, (error: Error | null, file?: Buffer) => console.log(error, file?.length));
stream.on('download', (chunk: Buffer) => chunk.length);
export const sent = send('app.js', { bits: 9 }).on('upload', (chunk: Buffer) => chunk.length);
`;
  writeFileSync(
    join(s.packed.folder, 'entry.mts'),
    `import browserSyncStream, { receive, send } from 'driblet/browser-sync-stream';${use}browserSyncStream('app.js');`,
  );
  writeFileSync(
    join(s.packed.folder, 'entry.cts'),
    `import browserSyncStream = require('driblet/browser-sync-stream');\nconst { receive, send } = browserSyncStream;${use}browserSyncStream('app.js');`,
  );
  const nodeTypes = ['--typeRoots', join(here, 'node_modules', '@types'), '--types', 'node'];
  assertTypesRight(s.packed, ['entry.mts', 'entry.cts'], ...nodeTypes);
});
