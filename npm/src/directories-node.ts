import { readFile } from 'node:fs/promises';
import load from '../wasm/directories/driblet.js';
import { serve } from './directory/engine.js';
import { runHere } from './page/directoryClient.js';

/* Directories in Node: syncs run in the caller's thread. Importing it reads no file. */

export * from './directories.js';

runHere(async () => {
  // Node's `fetch` reads no files.
  await load({ module_or_path: await readFile(new URL('../wasm/directories/driblet_bg.wasm', import.meta.url)) });
  return serve;
});
