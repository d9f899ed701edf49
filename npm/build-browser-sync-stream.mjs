// Builds dist/browser-sync-stream/: the entry that speaks browser-sync-stream's wire, for Node and for pages, as ESM
// and as CommonJS. Each is one file that includes the wasm module, so that it loads wherever browser-sync-stream does.
import { copyFileSync, existsSync } from 'node:fs';
import { build } from 'esbuild';

const PLATFORMS = { node: 'node', page: 'browser' };
// The module is its default export, with the other exports as members.
const MAIN = 'module.exports = Object.assign(module.exports.default, module.exports);';

/** Returns the files that are in the bundles. */
export async function bundleBrowserSyncStream(here) {
  if (!existsSync(`${here}wasm-browser-sync-stream/driblet_bg.wasm`))
    throw new Error('npm/wasm-browser-sync-stream/ is missing; run scripts/wasm.sh first');
  const inputs = [];
  for (const [name, platform] of Object.entries(PLATFORMS)) {
    copyFileSync(`${here}src/browser-sync-stream/${name}.d.cts`, `${here}dist/browser-sync-stream/${name}.d.cts`);
    const options = {
      entryPoints: [`${here}src/browser-sync-stream/${name}.ts`],
      bundle: true,
      metafile: true,
      absWorkingDir: here.replace(/\/$/, ''),
      minify: platform === 'browser',
      platform,
      loader: { '.wasm': 'base64' },
      // Parts of wasm-bindgen's code: its own search for the module, and its warnings about servers.
      define: { 'import.meta.url': '""', 'Symbol.dispose': 'undefined' },
      drop: ['console'],
      plugins: [streams(here, platform)],
    };
    const { metafile } = await build({
      ...options,
      format: 'esm',
      target: 'es2022',
      outfile: `${here}dist/browser-sync-stream/${name}.js`,
    });
    // Bundlers as old as browser-sync-stream do not know later syntax.
    await build({
      ...options,
      format: 'cjs',
      target: 'es2018',
      footer: { js: MAIN },
      outfile: `${here}dist/browser-sync-stream/${name}.cjs`,
    });
    inputs.push(...Object.keys(metafile.inputs));
  }
  return inputs;
}

/**
 * In Node, the platform's streams, of which readable-stream is a copy. In pages, readable-stream, and a `process` for
 * it.
 */
function streams(here, platform) {
  return {
    name: 'streams',
    setup({ onResolve }) {
      if (platform === 'node')
        onResolve({ filter: /^readable-stream$/ }, () => ({ path: 'node:stream', external: true }));
      else onResolve({ filter: /^process\/$/ }, () => ({ path: `${here}src/browser-sync-stream/process.ts` }));
    },
  };
}
