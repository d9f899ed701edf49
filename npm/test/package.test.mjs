// The package as users install it: packed, installed into an empty folder, opened from a plain page.
import assert from 'node:assert/strict';
import { cpSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { brotliCompressSync } from 'node:zlib';
import { launch } from './support/browser.mjs';
import { release, serve } from './support/driblet.mjs';
import { assertTypesRight, here, install } from './support/installed.mjs';

let packed;

before(() => {
  packed = install();
});
after(() => packed?.remove());

test('the package has its code, its types, its module, and nothing else', () => {
  const names = packed.files;
  for (const name of [
    'LICENSE',
    'README.md',
    'dist/index.js',
    'dist/index.d.ts',
    'dist/live.js',
    'dist/inline.js',
    'dist/service-worker.js',
    'dist/storage.js',
    'dist/worker.js',
    'dist/directories.js',
    'dist/directories-worker.js',
    'dist/LICENCES.txt',
    'wasm/driblet_bg.wasm',
    'wasm/codecs/driblet_bg.wasm',
    'wasm/directories/driblet_bg.wasm',
  ]) {
    assert.ok(names.includes(name), name);
  }
  const strange = names.filter(
    (name) =>
      !/^(LICENSE|README\.md|(browser-sync-stream\/)?package\.json|(dist|wasm)\/((browser-sync-stream|codecs|directories|directory|live|page|serviceworker|shared|stores(\/directories)?|sync|vite|worker)\/)?[\w.-]+\.(c?js|d\.c?ts|wasm))$/.test(
        name,
      ) && name !== 'dist/LICENCES.txt',
  );
  assert.deepEqual(strange, []);
  const licences = readFileSync(join(packed.folder, 'node_modules', 'driblet', 'dist', 'LICENCES.txt'), 'utf8');
  for (const name of ['blake3', 'zstd', 'readable-stream']) assert.match(licences, new RegExp(`\\b${name}\\b`));
});

test('a plain page imports the installed package and syncs', async () => {
  const server = await serve();
  const browser = await launch();
  try {
    cpSync(join(packed.folder, 'node_modules', 'driblet'), join(server.root, 'driblet'), { recursive: true });
    server.publish('app.js', release('5.9.3'));
    const page = await browser.context.newPage();
    await page.goto(server.url.href);
    const seen = await page.evaluate(async () => {
      const { sync } = await import('/driblet/dist/index.js');
      const first = await sync('/app.js');
      return [(await first.bytes()).length, first.cost.basis, (await sync('/app.js')).cost.basis];
    });
    assert.deepEqual(seen, [statSync(release('5.9.3')).size, 'none', 'same']);
  } finally {
    await browser.close();
    await server.close();
  }
});

test('what a page loads stays small: client, worker and module, as brotli', () => {
  const client = join(here, '..', 'crates', 'driblet', 'client');
  // A service worker loads inline.js instead of the client and the worker. store.js and room.js are loaded only on
  // request, live.js at the first watch, the module with all codecs for a delta that needs it, and what directories need
  // with the first directory.
  const names = readdirSync(client).filter(
    (name) => !name.endsWith('.br') && !/^(codecs|directories|inline|live|room|service-worker|store)\b/.test(name),
  );
  const sizeOf = (names) =>
    names.reduce((sum, name) => sum + brotliCompressSync(readFileSync(join(client, name))).length, 0);
  assert.equal(names.length, 3);
  const total = sizeOf(names);
  assert.ok(total <= 68_000, `${total} bytes`);
  const forDirectories = readdirSync(client).filter((name) => /^directories\b.*(js|wasm)$/.test(name));
  assert.equal(forDirectories.length, 3);
  const more = sizeOf(forDirectories);
  assert.ok(more <= 90_000, `${more} bytes for directories`);
  const codecs = sizeOf(readdirSync(client).filter((name) => /^codecs.*wasm$/.test(name)));
  assert.ok(codecs <= 95_500, `${codecs} bytes for all codecs`);
  const live = sizeOf(['live.js']);
  assert.ok(live <= 5_500, `${live} bytes to follow live streams`);
  const serviceWorker = sizeOf(['service-worker.js']);
  assert.ok(serviceWorker <= 25_000, `${serviceWorker} bytes for a service worker`);
});

test('the types stand for themselves in a strict project', () => {
  writeFileSync(
    join(packed.folder, 'use.ts'),
    `import { configure, sync, watch, watchDirectory, memoryStore, SyncError, type Handle } from 'driblet';
configure({ wasmUrl: '/driblet_bg.wasm', workerTimeout: 60_000 });
await using handle: Handle = await sync('/app.js', { store: memoryStore(), timeout: 1 });
const bytes: Uint8Array = await handle.bytes();
const isStored: boolean = await handle.stored;
export const moved: number = isStored ? handle.cost.received + bytes.length : 0;
for await (const newer of watch('/app.js', { renewHeaders: async () => ({ authorization: 'Bearer x' }) })) newer.close();
for await (const app of watchDirectory('/app/', { maxFiles: 9 })) app.paths().join();
export const again = (error: unknown): boolean => error instanceof SyncError && error.code === 'network';
`,
  );
  writeFileSync(
    join(packed.folder, 'serve.ts'),
    `import { serveAsset, type FetchEventLike, type ServeOptions } from 'driblet/inline';
const options: ServeOptions = { timeout: 3000, scope: 'ann' };
export const answers = (event: FetchEventLike): boolean => serveAsset(event, options);
`,
  );
  writeFileSync(
    join(packed.folder, 'directory.ts'),
    `import { memoryStore, syncDirectory, type Directory } from 'driblet';
import { syncDirectory as alone, type DirectoryOptions } from 'driblet/directories';
const options: DirectoryOptions = { store: memoryStore(), maxFiles: 10, onProgress: ({ files }) => void files };
await using directory: Directory = await syncDirectory('/app/', options);
export const text: string = await (await directory.file('index.html')).text();
export const other: Promise<Directory> = alone(new URL('/app/', 'http://localhost'));
`,
  );
  writeFileSync(
    join(packed.folder, 'level.ts'),
    `import { levelStore, type LevelStore } from 'driblet/level';
import { type Store } from 'driblet/store';
export const store = (db: object): LevelStore => levelStore(db);
export const anyStore = (db: object): Store => store(db);
`,
  );
  assertTypesRight(packed, ['use.ts', 'serve.ts', 'directory.ts', 'level.ts'], '--lib', 'es2022,dom,dom.iterable');
});
