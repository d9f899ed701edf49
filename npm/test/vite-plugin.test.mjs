// driblet/vite in `vite build`: a real vite builds, and a real `driblet serve` is told. The servers watch nothing and get
// no request, so what is in their histories was published by the plugin.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { blake3 as oracle } from '@noble/hashes/blake3.js';
import { build, createBuilder } from 'vite';
import driblet from '../dist/vite.js';
import { blake3 } from '../dist/vite/blake3.js';
import { temporaryFolder } from './support/folder.mjs';
import { newApp, newLogger, ofDriblet, serveFolder, versionsOf } from './support/vite-app.mjs';

const PUBLISHED = /^info: driblet: published \/ as ([0-9a-f]{64}), (\d+) files$/;

/** The configuration of an app. Lines go to `logger`. */
function configuration(app, { logger, options, plugins = [], ...more }) {
  return {
    root: app.root,
    configFile: false,
    customLogger: logger,
    logLevel: 'silent',
    // The plugin is last whatever its place.
    plugins: [driblet(options), ...plugins],
    ...more,
  };
}

/** Builds an app. Returns what the plugin said. */
async function buildApp(app, given = {}) {
  const { logger, said } = newLogger();
  await build(configuration(app, { logger, ...given }));
  return ofDriblet(said);
}

/** Starts a server of a folder that it does not watch. */
function serveUnwatched(root, ...options) {
  mkdirSync(root, { recursive: true });
  return serveFolder(root, '--no-watch', ...options);
}

function countFiles(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;
}

describe('a build', () => {
  test('is published when all is written', async () => {
    const app = newApp();
    await serveUnwatched(app.output);
    const before = await versionsOf(app.output);
    const late = {
      name: 'late',
      closeBundle: { order: 'post', handler: () => app.write('dist/late.txt', 'written when the build is closed') },
    };
    const said = await buildApp(app, { plugins: [late] });
    assert.equal(said.length, 1, said);
    const [, version, files] = PUBLISHED.exec(said[0]);
    assert.equal(Number(files), countFiles(app.output));
    assert.ok(readdirSync(app.output).includes('late.txt'));
    assert.deepEqual(await versionsOf(app.output), [version, ...before]);
    app.write('main.js', 'document.title = "the second build";');
    const [, second] = PUBLISHED.exec(await buildApp(app, { plugins: [late] }));
    assert.deepEqual(await versionsOf(app.output), [second, version, ...before]);
  });

  test('of several outputs is published once', async () => {
    const app = newApp();
    await serveUnwatched(app.output);
    const output = ['es', 'cjs'].map((format) => ({ format, entryFileNames: `[name].${format}.js` }));
    const said = await buildApp(app, { build: { rolldownOptions: { output } } });
    assert.equal(said.length, 1, said);
    assert.equal(PUBLISHED.exec(said[0])[2], '3');
    assert.deepEqual(readdirSync(app.output).sort(), ['index.cjs.js', 'index.es.js', 'index.html']);
  });

  test('of one folder is all that is published, if it is named', async () => {
    const app = newApp();
    const history = temporaryFolder('vite-history');
    const served = temporaryFolder('vite-served');
    mkdirSync(join(served, 'app'));
    await serveUnwatched(served, '--directory', 'app', '--history', history);
    const before = await versionsOf(served, '--history', history);
    const options = { history: relative(app.root, history), path: 'app/' };
    const said = await buildApp(app, { options, build: { outDir: join(served, 'app') } });
    assert.match(said[0], /^info: driblet: published \/app\/ as [0-9a-f]{64}, 2 files$/);
    assert.deepEqual(await versionsOf(served, '--history', history), before);
  });

  test('is published where the folder of the server is not that of the build', async () => {
    const app = newApp();
    const served = temporaryFolder('vite-served');
    await serveUnwatched(served);
    const options = { root: relative(app.root, served) };
    const said = await buildApp(app, { options, build: { outDir: join(served, 'app') } });
    assert.equal(PUBLISHED.exec(said[0])[2], '2');
  });

  test('that fails is not published, whatever fails', async () => {
    const app = newApp();
    await serveUnwatched(app.output);
    await buildApp(app);
    const before = await versionsOf(app.output);
    assert.equal(before.length, 1);
    const hooks = ['buildStart', 'transform', 'renderChunk', 'generateBundle', 'writeBundle'];
    for (const hook of hooks) {
      app.write('main.js', `document.title = "a build that fails in ${hook}";`);
      const fails = () => {
        throw new Error(`the hook ${hook} fails`);
      };
      const { logger, said } = newLogger();
      const plugins = [{ name: 'fails', [hook]: fails }];
      await assert.rejects(build(configuration(app, { logger, plugins })), /the hook \w+ fails/);
      assert.deepEqual(ofDriblet(said), [], hook);
    }
    app.write('main.js', 'a build that cannot be parsed');
    const { logger, said } = newLogger();
    await assert.rejects(build(configuration(app, { logger })));
    assert.deepEqual([ofDriblet(said), await versionsOf(app.output)], [[], before]);
  });

  test('that writes nothing is not published', async () => {
    const app = newApp();
    await serveUnwatched(app.output);
    assert.deepEqual(await buildApp(app, { build: { write: false } }), []);
  });

  test('for servers is not published, and the one for pages is, in one build of both', async () => {
    const app = newApp();
    app.write('server.js', 'export const answer = () => "from the server";');
    await serveUnwatched(app.output);
    const before = await versionsOf(app.output);
    assert.deepEqual(await buildApp(app, { build: { ssr: 'server.js' } }), []);
    assert.deepEqual(await versionsOf(app.output), before);
    for (const order of [
      ['ssr', 'client'],
      ['client', 'ssr'],
    ]) {
      const { logger, said } = newLogger();
      const environments = {
        ssr: { build: { outDir: 'server', rolldownOptions: { input: join(app.root, 'server.js') } } },
      };
      const config = configuration(app, { logger, environments, builder: { sharedPlugins: true } });
      const builder = await createBuilder(config);
      for (const name of order) await builder.build(builder.environments[name]);
      assert.deepEqual(ofDriblet(said).length, 1, order);
      assert.equal(Number(PUBLISHED.exec(ofDriblet(said))[2]), countFiles(app.output));
      assert.equal(countFiles(join(app.root, 'server')), 1);
    }
  });
});

describe('a build succeeds', () => {
  const notRunning = (which) => [`info: driblet: no \`driblet serve\` ${which} runs, so none was told of this build`];

  test('without a server', async () => {
    const app = newApp();
    assert.deepEqual(await buildApp(app), notRunning(`of ${app.output}`));
    const history = join(app.root, 'no', 'history');
    assert.deepEqual(await buildApp(app, { options: { history } }), notRunning(`with the history ${history}`));
  });

  test('beside the server of another folder', async () => {
    const [app, other] = [newApp(), newApp()];
    await serveUnwatched(other.output);
    const before = await versionsOf(other.output);
    assert.deepEqual(await buildApp(app), notRunning(`of ${app.output}`));
    assert.deepEqual(await versionsOf(other.output), before);
  });

  test('after the server has ended, and with a socket that a killed server left', async () => {
    const app = newApp();
    const server = await serveUnwatched(app.output);
    await server.stop();
    assert.deepEqual(await buildApp(app), notRunning(`of ${app.output}`));
    const history = temporaryFolder('vite-history');
    const killed = await serveUnwatched(app.output, '--history', history);
    process.kill(killed.pid, 'SIGKILL');
    await killed.stop();
    assert.ok(readdirSync(history).includes('control.sock'));
    assert.deepEqual(await buildApp(app, { options: { history } }), notRunning(`with the history ${history}`));
  });

  test('although the server refuses', async () => {
    const app = newApp();
    await serveUnwatched(app.output);
    assert.deepEqual(await buildApp(app, { options: { path: 'missing/' } }), [
      'warn: driblet: the server did not publish this build: there is neither a file nor a snapshot of a directory at ' +
        `/missing. Correct that, then publish the build with \`driblet publish ${app.output} missing/\`.`,
    ]);
  });

  test('although the server does not answer', async () => {
    const app = newApp();
    const history = temporaryFolder('vite-history');
    const server = await serveUnwatched(app.output, '--history', history);
    process.kill(server.pid, 'SIGSTOP');
    try {
      assert.deepEqual(await buildApp(app, { options: { history, timeout: 100 } }), [
        'warn: driblet: the server could not be told of this build: the server did not answer for 0.1 s. Once it ' +
          `answers, publish the build with \`driblet publish ${app.output} --history ${history}\`.`,
      ]);
    } finally {
      process.kill(server.pid, 'SIGCONT');
    }
  });
});

test('each rebuild of a watched build is published, and none that fails', async () => {
  const app = newApp();
  await serveUnwatched(app.output);
  const { logger, said, until } = newLogger();
  /** Replaces the script in one step: half a script is never built. */
  const replace = (text) => {
    app.write('main.js.new', text);
    renameSync(join(app.root, 'main.js.new'), join(app.root, 'main.js'));
  };
  const known = [];
  /** Waits until a version is published that was not there before. One change may be built several times. */
  const isPublished = async () => {
    let version;
    do [, version] = PUBLISHED.exec(await until(PUBLISHED));
    while (known.includes(version));
    known.unshift(version);
    assert.deepEqual(await versionsOf(app.output), known);
  };
  const watcher = await build(configuration(app, { logger, build: { watch: {} } }));
  try {
    await isPublished();
    replace('document.title = "the second build";');
    await isPublished();
    replace('this cannot be parsed');
    await until(/^error: /);
    assert.deepEqual(await versionsOf(app.output), known);
    replace('document.title = "the third build";');
    await isPublished();
  } finally {
    await watcher.close();
  }
  for (const line of ofDriblet(said)) assert.match(line, PUBLISHED);
});

describe('the history of a folder is found', () => {
  test('where its path is long', async () => {
    for (const times of [5, 12]) {
      const app = newApp();
      // The hash of the path then has more than one chunk, and the path of the socket is longer than a socket's may be.
      const output = join(app.root, ...Array.from({ length: times }, (_, at) => `${at}`.padStart(200, 'long')));
      const history = join(temporaryFolder('vite-history'), 'h'.repeat(200));
      await serveUnwatched(output);
      assert.match((await buildApp(app, { build: { outDir: output } }))[0], PUBLISHED);
      mkdirSync(dirname(history), { recursive: true });
      const other = newApp();
      await serveUnwatched(other.output, '--history', history);
      assert.match((await buildApp(other, { options: { history } }))[0], PUBLISHED);
    }
  });

  test('where no folder for caches is named', async () => {
    const { HOME, XDG_CACHE_HOME } = process.env;
    const app = newApp();
    for (const cache of [undefined, 'relative']) {
      process.env.HOME = temporaryFolder('vite-home');
      if (cache === undefined) delete process.env.XDG_CACHE_HOME;
      else process.env.XDG_CACHE_HOME = cache;
      try {
        const server = await serveUnwatched(app.output);
        assert.match((await buildApp(app))[0], PUBLISHED);
        await server.stop();
      } finally {
        Object.assign(process.env, { HOME, XDG_CACHE_HOME });
      }
    }
  });

  test('by the hash that the server takes', () => {
    const bytes = Uint8Array.from({ length: 9000 }, (_, at) => at % 251);
    for (const length of [0, 1, 63, 64, 65, 1023, 1024, 1025, 2048, 2049, 3072, 3073, 4096, 5000, 7168, 7169, 9000]) {
      const expected = Buffer.from(oracle(bytes.subarray(0, length))).toString('hex');
      assert.equal(blake3(bytes.subarray(0, length)), expected, `${length} bytes`);
    }
  });
});

test('options that are not valid are refused', () => {
  for (const [options, message] of [
    [{ history: '' }, /^history must be a text that is not empty, not ""$/],
    [{ path: 1 }, /^path must be a text/],
    [{ root: null }, /^root must be a text/],
    [{ binary: ['driblet'] }, /^binary must be a text/],
    [{ timeout: 0 }, /^timeout must be a number of milliseconds above 0/],
    [{ preview: 'no' }, /^preview must be true or false, not "no"$/],
    [{ serve: '--private' }, /^serve must be a list of texts/],
    [{ serve: [1] }, /^serve must be a list of texts/],
  ]) {
    assert.throws(() => driblet(options), { name: 'TypeError', message });
  }
});
