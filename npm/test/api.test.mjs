// The API in Node, each test in a process of its own: what an import does, configure(), and the end of handles.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { release, serve } from './support/driblet.mjs';
import { here } from './support/installed.mjs';
import { expected } from './support/limit.mjs';

let server;

before(async () => {
  server = await serve();
  server.publish('lib.d.ts', release('5.8.3', 'lib.dom.d.ts'));
});
after(() => server?.close());

const DRIBLET = JSON.stringify(join(here, 'dist', 'node.js'));

/** Runs a module in a new process. `url` is the URL of a file there. Returns what `result` is at its end. */
async function run(script) {
  const module = `const url = ${JSON.stringify(new URL('lib.d.ts', server.url).href)};
    let result;
    ${script}
    console.log(JSON.stringify(result));`;
  const running = promisify(execFile)(process.execPath, ['--input-type=module', '-e', module]);
  const { stdout } = await expected(running, 'the process ends');
  return JSON.parse(stdout);
}

test('importing the package reads no file but its scripts; the first sync reads the module', async () => {
  const { imported, synced } = await run(`
    import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    const paths = [];
    for (const owner of [fs, fs.promises]) {
      for (const name of ['open', 'openSync', 'readFile', 'readFileSync', 'createReadStream', 'openAsBlob']) {
        const call = owner[name];
        if (call) owner[name] = (path, ...values) => (paths.push(String(path)), call(path, ...values));
      }
    }
    syncBuiltinESMExports();
    const { sync } = await import(${DRIBLET});
    // Whatever an import starts, it calls within a turn of the event loop.
    await new Promise(setImmediate);
    const isScript = (path) => path.endsWith('.js'); // Node's loader reads these.
    const imported = paths.filter((path) => !isScript(path));
    (await sync(url)).close();
    result = { imported, synced: paths.filter((path) => !isScript(path)) };`);
  assert.deepEqual(imported, []);
  assert.deepEqual(
    synced.map((path) => path.replace(/^.*\//, '')),
    ['driblet_bg.wasm'],
  );
});

test('configure() takes effect before the first sync, and throws afterwards unless nothing changes', async () => {
  const errors = await run(`
    import { configure, sync } from ${DRIBLET};
    const errors = [];
    const attempt = (configuration) => {
      try {
        configure(configuration);
        errors.push('none');
      } catch ({ name, message }) {
        errors.push(name + ': ' + message);
      }
    };
    attempt({ workerTimeout: 0 });
    attempt({ wasmUrl: 7 });
    attempt({ link: 'quick' });
    attempt({ wasmUrl: 'https://example.com/one.wasm', workerTimeout: 1000 });
    attempt({ workerTimeout: 2000 });
    (await sync(url)).close();
    attempt({ wasmUrl: 'https://example.com/one.wasm', workerTimeout: 2000 });
    attempt({ wasmUrl: 'https://example.com/two.wasm' });
    attempt({ workerUrl: 'https://example.com/worker.js' });
    result = errors;`);
  const late = 'Error: configure() must be called before the first sync(): driblet runs with';
  assert.deepEqual(errors, [
    'TypeError: workerTimeout must be a number of milliseconds above 0, or Infinity for no limit, not 0',
    'TypeError: a URL must be a string or a URL, not 7',
    `TypeError: link must be 'slow', 'usual' or 'fast', not "quick"`,
    'none',
    'none',
    'none',
    `${late} https://example.com/one.wasm as wasmUrl, not with https://example.com/two.wasm`,
    `${late} its default as workerUrl, not with https://example.com/worker.js`,
  ]);
});

test('a handle can be disposed of: at once, or when its version is stored', async () => {
  const seen = await run(`
    import { sync } from ${DRIBLET};
    const read = (handle) => handle.blob().then(({ size }) => size, ({ message }) => message);
    const one = await sync(url);
    const two = await sync(url);
    await one.stored;
    one[Symbol.dispose]();
    const pending = two[Symbol.asyncDispose]();
    result = [await two.stored, two.warning ?? 'none', await read(one), await pending.then(() => read(two))];`);
  assert.deepEqual(seen, [true, 'none', 'this handle is closed; sync again', 'this handle is closed; sync again']);
});
