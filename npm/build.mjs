// Builds the published package (dist/, beside wasm/) and the files that `driblet serve` ships (crates/driblet/client/).
// The shipped files name each other by relative URL and are minified. The names of the worker and the module contain a
// hash, so that they may be cached without limit.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync } from 'node:zlib';
import { build } from 'esbuild';
import { minify } from 'terser';
import { bundleBrowserSyncStream } from './build-browser-sync-stream.mjs';
import { writeLicences } from './licences.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const shipped = fileURLToPath(new URL('../crates/driblet/client/', import.meta.url));

/**
 * Parts of wasm-bindgen's code that driblet does not use: they free objects that are garbage-collected, check the
 * classes of arguments, decode gigabytes of text in Safari, name the numbers of an enum, and take a module in other
 * forms than a request or a response. The only texts that are passed are 64 hex digits, which need one encoder.
 */
const UNUSED = [
  [/const \w+Finalization = [^;]*;/g, ''],
  [/\w+Finalization\.(un)?register\([^)]*\);/g, ''],
  [/_assertClass\([^)]*\);/g, ''],
  [/ {4}if \(realloc === undefined\) \{([^}]*)\}[\s\S]*?\n\}\n/, '$1}\n'],
  [/if \(!\('encodeInto' in cachedTextEncoder\)\) \{[\s\S]*?\n\}\n/, ''],
  [/ {4}numBytesDecoded \+= [\s\S]*?\n {4}\}\n/, ''],
  [/(\w+): (\d+), "\2": "\1"/g, '$1: $2'],
  [
    /if \(typeof Response === 'function' && module instanceof Response\) (\{[\s\S]*?\n {4}\}) else \{[\s\S]*?\n {4}\}\n/,
    '$1\n',
  ],
  [
    /if \(module_or_path !== undefined\) \{[\s\S]*?(\(\{module_or_path\} = module_or_path\))[\s\S]*?\n {4}\}\n/,
    '$1;\n',
  ],
  [/typeof module_or_path === 'string' \|\| .*module_or_path instanceof URL\)/, 'module_or_path instanceof Request'],
];

const leanGlue = {
  name: 'lean glue',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]wasm[\\/]((codecs|directories)[\\/])?driblet\.js$/ }, ({ path }) => {
      const lean = (text, [unused, instead]) => {
        const left = text.replace(unused, instead);
        if (left === text) throw new Error(`expected ${unused} in wasm-bindgen's code`);
        return left;
      };
      return { contents: UNUSED.reduce(lean, readFileSync(path, 'utf8')), loader: 'js' };
    });
  },
};

if (!existsSync(`${here}wasm/driblet_bg.wasm`)) throw new Error('npm/wasm/ is missing; run scripts/wasm.sh first');
rmSync(`${here}dist`, { recursive: true, force: true });
for (const project of ['tsconfig.json', 'tsconfig.node.json', 'tsconfig.browser-sync-stream.json']) {
  execFileSync(process.execPath, [`${here}node_modules/typescript/lib/tsc.js`, '-p', `${here}${project}`], {
    stdio: 'inherit',
  });
}
const inputs = await bundleBrowserSyncStream(here);
if (existsSync(fileURLToPath(new URL('../crates/driblet/', import.meta.url)))) {
  writeLicences(here, inputs);
  await ship();
}

async function ship() {
  mkdirSync(shipped, { recursive: true });
  for (const name of readdirSync(shipped)) rmSync(`${shipped}${name}`);
  const module = write('driblet', 'wasm', readFileSync(`${here}wasm/driblet_bg.wasm`));
  const directories = write('directories', 'wasm', readFileSync(`${here}wasm/directories/driblet_bg.wasm`));
  const codecs = write('codecs', 'wasm', readFileSync(`${here}wasm/codecs/driblet_bg.wasm`));
  const withModules = async (name) =>
    replace(
      replace(await bundle(name), '../../wasm/driblet_bg.wasm', `./${module}`),
      '../../wasm/codecs/driblet_bg.wasm',
      `./${codecs}`,
    );
  const worker = write('worker', 'js', await withModules('worker'));
  writeFileSync(`${shipped}client.js`, replace(await bundle('index'), './worker.js', `./${worker}`));
  writeFileSync(`${shipped}inline.js`, await withModules('inline'));
  writeFileSync(`${shipped}live.js`, await bundle('live'));
  const room = write('room', 'js', await bundle('stores/directories/room'));
  const forDirectories = replace(
    replace(await bundle('directories-worker'), '../../wasm/directories/driblet_bg.wasm', `./${directories}`),
    './room.js',
    `./${room}`,
  );
  const directoriesWorker = write('directories-worker', 'js', forDirectories);
  const forPages = replace(await bundle('directories'), './directories-worker.js', `./${directoriesWorker}`);
  writeFileSync(`${shipped}directories.js`, forPages);
  // A classic script does not know its own URL.
  const forServiceWorkers = await bundle('service-worker', {
    format: 'iife',
    define: { 'import.meta.url': 'location.href' },
  });
  writeFileSync(
    `${shipped}service-worker.js`,
    replace(forServiceWorkers, '../../wasm/directories/driblet_bg.wasm', `/.driblet/${directories}`),
  );
  writeFileSync(`${shipped}store.js`, await bundle('storage'));
  // The server sends these to clients that accept brotli.
  for (const name of readdirSync(shipped))
    writeFileSync(`${shipped}${name}.br`, brotliCompressSync(readFileSync(`${shipped}${name}`)));
}

async function bundle(name, { format = 'esm', define } = {}) {
  const { outputFiles } = await build({
    entryPoints: [`${here}dist/${name}.js`],
    bundle: true,
    format,
    ...(format === 'iife' && { globalName: 'driblet' }),
    minify: true,
    target: 'es2022',
    // Parts of wasm-bindgen's code: its warnings about servers, and ways to free objects that nobody uses.
    drop: ['console'],
    define: {
      ...(/^(directories-)?worker$/.test(name) && { 'Symbol.dispose': 'undefined', FinalizationRegistry: 'undefined' }),
      ...define,
    },
    write: false,
    // A service worker cannot import a script later.
    external:
      format === 'iife' ? [] : ['./worker.js', './directories-worker.js', './directories.js', './live.js', './room.js'],
    plugins: [leanGlue],
  });
  // 5 % shorter than esbuild's output. A test limits the size of what a page loads.
  const options = { module: format === 'esm', ecma: 2022, compress: { passes: 4, pure_getters: true } };
  return (await minify(outputFiles[0].text, options)).code;
}

function write(name, extension, bytes) {
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  const file = `${name}-${hash}.${extension}`;
  writeFileSync(`${shipped}${file}`, bytes);
  return file;
}

function replace(text, from, to) {
  if (!text.includes(from)) throw new Error(`expected ${from} in a bundle`);
  return text.replaceAll(from, to);
}
