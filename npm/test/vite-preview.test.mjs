// driblet/vite in `vite preview`: a real vite has its requests answered by a real `driblet serve`.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build, preview } from 'vite';
import { directoryStore, memoryStore, sync } from '../dist/node.js';
import driblet from '../dist/vite.js';
import { newCertificate } from './support/certificate.mjs';
import { binary, release } from './support/driblet.mjs';
import { temporaryFolder } from './support/folder.mjs';
import { expected } from './support/limit.mjs';
import { whenStarted } from './support/program.mjs';
import { descendants, hasEnded, newApp, newLogger, ofDriblet, serveFolder } from './support/vite-app.mjs';

const OLD = readFileSync(release('5.8.3', 'lib.dom.d.ts'));
const FRESH = readFileSync(release('5.9.2', 'lib.dom.d.ts'));

const running = [];

// Closing a server twice is no error.
after(() => Promise.all(running.map((server) => server.close())));

/** An app that is built, with a file for receivers to sync. */
async function builtApp(more = {}) {
  const app = newApp();
  app.write('public/lib.d.ts', OLD);
  await build({ root: app.root, configFile: false, logLevel: 'error', ...more });
  return app;
}

/** Starts vite's preview of an app. */
async function show(app, { options, ...more } = {}) {
  const lines = newLogger();
  const server = await preview({
    root: app.root,
    configFile: false,
    logLevel: 'silent',
    customLogger: lines.logger,
    plugins: [driblet({ binary, ...options })],
    preview: { host: '127.0.0.1', port: 0, ...more.preview },
    ...more.config,
  });
  const port = server.httpServer.address().port;
  const [, own] = /at (http:\S+)$/m.exec(lines.said[0]);
  running.push(server);
  return { ...lines, server, url: new URL(`http://127.0.0.1:${port}${server.config.base}`), own: new URL(own) };
}

/** Sends a request with headers that `fetch` does not take. */
async function ask(url, options) {
  const sent = request(url, options);
  sent.end();
  const [response] = await once(sent, 'response');
  const parts = await response.toArray();
  return { status: response.statusCode, headers: response.headers, text: Buffer.concat(parts).toString() };
}

/** The id of the `driblet` that a process runs for an app. */
function serverOf(pid, app) {
  const isOfApp = (id) => readFileSync(`/proc/${id}/cmdline`, 'utf8').endsWith(`\0${app.output}\0`);
  const found = descendants(pid).filter(([name, id]) => name === 'driblet' && isOfApp(id));
  assert.equal(found.length, 1, found);
  return found[0][1];
}

const app = await builtApp({ base: '/app/' });
const shown = await show(app, {
  config: { base: '/app/' },
  preview: { headers: { 'x-preview': 'yes', 'content-type': 'text/strange' } },
});

describe('a preview below a base', () => {
  const get = async (path, options) => fetch(new URL(path, shown.url), options);

  test('serves the page and its files, with the headers of driblet and of the configuration', async () => {
    const response = await get('', { headers: { 'accept-encoding': 'br' } });
    const page = await response.text();
    assert.equal(page, readFileSync(join(app.output, 'index.html'), 'utf8'));
    const { headers } = response;
    assert.match(headers.get('etag'), /^"[0-9a-f]{64}"$/);
    assert.deepEqual([headers.get('x-preview'), headers.get('content-type')], ['yes', 'text/strange']);
    assert.match(headers.get('vary'), /accept-encoding/);
    const [, script] = /src="\/app\/([^"]+)"/.exec(page);
    assert.match(await (await get(script)).text(), /the first build/);
    const lib = await get('lib.d.ts', { headers: { 'accept-encoding': 'br' } });
    assert.deepEqual([lib.headers.get('content-encoding'), Buffer.from(await lib.arrayBuffer())], ['br', OLD]);
  });

  test('answers ranges, conditions and HEAD', async () => {
    const range = await get('lib.d.ts', { headers: { range: 'bytes=5-9' } });
    assert.equal(range.status, 206);
    assert.equal(range.headers.get('content-range'), `bytes 5-9/${OLD.length}`);
    assert.deepEqual(Buffer.from(await range.arrayBuffer()), OLD.subarray(5, 10));
    const etag = range.headers.get('etag');
    const same = await get('lib.d.ts', { headers: { 'if-none-match': etag, 'accept-encoding': 'identity' } });
    assert.deepEqual([same.status, await same.text()], [304, '']);
    const head = await get('lib.d.ts', { method: 'HEAD', headers: { 'accept-encoding': 'identity' } });
    assert.deepEqual([head.status, head.headers.get('content-length')], [200, `${OLD.length}`]);
  });

  test("serves driblet's resources, whose own headers stay", async () => {
    const response = await get('lib.d.ts.driblet/head');
    const head = await response.json();
    assert.equal(head.length, OLD.length);
    assert.deepEqual(
      [response.headers.get('content-type'), response.headers.get('x-preview')],
      ['application/json', 'yes'],
    );
    assert.equal((await (await get('.driblet/head')).json()).files, 3);
    const client = await get('.driblet/client.js');
    assert.match(client.headers.get('content-type'), /^text\/javascript/);
    const unknown = await get(`lib.d.ts.driblet/${'0'.repeat(64)}`);
    assert.equal(unknown.status, 404);
    assert.deepEqual((await unknown.json()).code, 'unknown-version');
    const posted = await get('lib.d.ts.driblet/signature', { method: 'POST', body: 'no signature' });
    assert.equal((await posted.json()).code, 'bad-signature');
  });

  test('leaves to vite what driblet does not have', async () => {
    const accept = { accept: 'text/html' };
    const route = await get('some/route', { headers: accept });
    assert.deepEqual([route.status, await route.text()], [200, await (await get('')).text()]);
    assert.equal(route.headers.get('x-preview'), 'yes');
    assert.equal((await get('missing.png', { headers: { accept: 'image/png' } })).status, 404);
    const outside = await fetch(new URL('/elsewhere', shown.url), { headers: accept });
    assert.match(await outside.text(), /configured with a public base URL of \/app\//);
    const root = await fetch(new URL('/', shown.url), { redirect: 'manual' });
    assert.deepEqual([root.status, root.headers.get('location')], [302, '/app/']);
    const posted = await get('lib.d.ts', { method: 'POST', body: 'x' });
    assert.notEqual(posted.headers.get('allow'), 'GET, HEAD', "driblet's refusal");
  });

  test('is guarded as before', async () => {
    const url = new URL('lib.d.ts.driblet/head', shown.url);
    const { port } = url;
    const status = async (headers) => (await ask(url, { headers })).status;
    assert.equal(await status({ host: 'evil.example' }), 403);
    assert.equal(await status({ origin: 'http://evil.example' }), 403);
    assert.equal(await status({ origin: 'http://evil.example', 'sec-fetch-site': 'cross-site' }), 403);
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `app.localhost:${port}`, '192.0.2.1:1']) {
      assert.equal(await status({ host }), 200, host);
      assert.equal(await status({ host, origin: `http://${host}` }), 200, host);
    }
    // vite's CORS allows pages of this machine.
    const { status: allowed, headers } = await ask(url, { headers: { origin: 'http://localhost:3000' } });
    assert.deepEqual([allowed, headers['access-control-allow-origin']], [200, 'http://localhost:3000']);
    assert.match(headers.vary, /origin/i);
  });

  test('answers a sync, and the next one with a delta', async () => {
    const store = memoryStore();
    const first = await sync(new URL('lib.d.ts', shown.url), { store });
    assert.deepEqual([Buffer.from(await first.bytes()), first.cost.basis], [OLD, 'none']);
    await first.stored;
    writeFileSync(join(app.output, 'lib.d.ts'), FRESH);
    const second = await sync(new URL('lib.d.ts', shown.url), { store });
    assert.deepEqual([Buffer.from(await second.bytes()), second.cost.basis], [FRESH, 'version']);
    assert.ok(second.cost.received < FRESH.length / 4, `${second.cost.received} bytes`);
  });

  test('cuts an answer that its reader leaves, and answers the next request', async () => {
    const { counter } = await (await get('lib.d.ts.driblet/head')).json();
    const abort = new AbortController();
    const waiting = get(`lib.d.ts.driblet/head?since=${counter}&wait=60`, { signal: abort.signal });
    abort.abort();
    await assert.rejects(waiting, { name: 'AbortError' });
    assert.equal((await get('lib.d.ts.driblet/head')).status, 200);
  });
});

test('a receiver whose version the preview does not know sends its signature', async () => {
  const store = directoryStore(temporaryFolder('vite-store'));
  const [one, other] = [await builtApp(), await builtApp()];
  writeFileSync(join(other.output, 'lib.d.ts'), FRESH);
  const [first, second] = [await show(one), await show(other)];
  const url = ({ url }) => new URL('lib.d.ts', url);
  await (await sync(url(first), { store })).stored;
  const handle = await sync(url(second), { store, basis: url(first).href });
  assert.deepEqual([Buffer.from(await handle.bytes()), handle.cost.basis], [FRESH, 'matched']);
  await handle.stored;
  await Promise.all([first.server.close(), second.server.close()]);
});

test("a build is published in its preview, and the preview's server has the options that are given", async () => {
  const app = await builtApp();
  const history = temporaryFolder('vite-history');
  const options = { history, serve: ['--exclude', '*.d.ts', '--no-watch'] };
  const { own, url, server } = await show(app, { options });
  const head = await (await fetch(new URL('.driblet/head', own))).json();
  assert.equal(head.files, 2);
  const { logger, said } = newLogger();
  app.write('main.js', 'document.title = "the second build";');
  const plugins = [driblet({ history })];
  await build({ root: app.root, configFile: false, logLevel: 'silent', customLogger: logger, plugins });
  const [, version] = /published \/ as ([0-9a-f]{64})/.exec(ofDriblet(said)[0]);
  assert.deepEqual((await (await fetch(new URL('.driblet/head', url))).json()).version, version);
  assert.notEqual(version, head.version);
  await server.close();
});

test('a preview is served over https', async () => {
  const { cert, key } = newCertificate();
  const app = await builtApp();
  const { server, url } = await show(app, { preview: { https: { cert: readFileSync(cert), key: readFileSync(key) } } });
  const session = connectHttp2(`https://localhost:${url.port}`, { rejectUnauthorized: false });
  const fields = { origin: `https://localhost:${url.port}`, 'sec-fetch-site': 'same-origin' };
  const stream = session.request({ ':path': '/lib.d.ts', range: 'bytes=0-3', ...fields });
  const [headers] = await once(stream, 'response');
  const bytes = Buffer.concat(await stream.toArray());
  assert.deepEqual([headers[':status'], bytes], [206, OLD.subarray(0, 4)]);
  session.destroy();
  await server.close();
});

describe('a preview does not begin', () => {
  const refused = (app, options, message) => assert.rejects(show(app, { options }), { message });

  test('without the program, and says how to install it', async () => {
    const app = await builtApp();
    const install =
      /Install it with `cargo install --path crates\/cli` in a clone of https:\S+, name it with driblet\(\{ b/;
    await refused(app, { binary: './no/driblet' }, /there is none at \/\S+\/no\/driblet\. /);
    await refused(app, { binary: './package.json' }, install);
    const { PATH } = process.env;
    process.env.PATH = `${app.root}${delimiter}`;
    try {
      await refused(app, { binary: undefined }, /the program `driblet`, and there is none on the PATH\. Install it/);
    } finally {
      process.env.PATH = PATH;
    }
  });

  test('without a build', () => refused(newApp(), {}, /the folder \S+\/dist does not exist; run `vite build` first/));

  test('with the history of another server', async () => {
    const app = await builtApp();
    const server = await serveFolder(app.output);
    await refused(app, {}, /serve ended before it listened: .* is in use by another process; stop that process/);
    await server.stop();
  });

  test('with an option that driblet does not know', async () => {
    await refused(await builtApp(), { serve: ['--strange'] }, /unexpected argument '--strange'/);
  });

  test('through driblet if that is turned off', async () => {
    const app = await builtApp();
    const server = await preview({
      root: app.root,
      configFile: false,
      logLevel: 'silent',
      plugins: [driblet({ preview: false, binary: '/no/driblet' })],
      preview: { host: '127.0.0.1', port: 0 },
    });
    const response = await fetch(`http://127.0.0.1:${server.httpServer.address().port}/lib.d.ts`);
    assert.match(response.headers.get('etag'), /^W\//);
    await response.body.cancel();
    await server.close();
  });
});

describe('the server ends', () => {
  /** Starts the command `vite preview`, as in a project that has the plugin, with `driblet` on the PATH. */
  async function start(app) {
    const plugin = JSON.stringify(new URL('../dist/vite.js', import.meta.url).href);
    app.write('vite.config.mjs', `import driblet from ${plugin};\nexport default { plugins: [driblet()] };\n`);
    const programs = temporaryFolder('vite-path');
    symlinkSync(binary, join(programs, 'driblet'));
    const vite = fileURLToPath(new URL('../node_modules/vite/bin/vite.js', import.meta.url));
    const child = spawn(process.execPath, [vite, 'preview', '--port', '0', '--host', '127.0.0.1'], {
      cwd: app.root,
      env: { ...process.env, PATH: `${programs}${delimiter}${process.env.PATH}`, NO_COLOR: '1' },
      stdio: ['pipe', 'pipe', 'inherit'],
      // A terminal sends its signals to a whole group of processes.
      detached: true,
    });
    after(() => child.kill('SIGKILL'));
    const { found } = await whenStarted(
      child,
      child.stdout,
      /through driblet, at http:\/\/127\.0\.0\.1:(\d+)\//,
      'vite',
    );
    return { child, port: Number(found[1]), program: serverOf(child.pid, app) };
  }

  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP']) {
    for (const [who, sign] of [
      ['vite', 1],
      ['the whole group of processes', -1],
    ]) {
      test(`when ${who} gets ${signal}`, async () => {
        const { child, port, program } = await start(await builtApp());
        const socket = connect(port, '127.0.0.1');
        await once(socket, 'connect');
        const closed = new Promise((resolve) => socket.once('close', resolve).once('error', () => {}));
        process.kill(sign * child.pid, signal);
        await expected(closed, 'the server closes its connections');
        await hasEnded(program);
      });
    }
  }

  test('when the preview is closed, before that has resolved', async () => {
    const app = await builtApp();
    const { server } = await show(app);
    const program = `${serverOf(process.pid, app)}`;
    assert.ok(readdirSync('/proc').includes(program));
    await server.close();
    assert.ok(!readdirSync('/proc').includes(program));
  });

  test('when it is killed; vite then serves the build alone', async () => {
    const app = await builtApp();
    const { url, until, server } = await show(app);
    process.kill(serverOf(process.pid, app), 'SIGKILL');
    await until(/^error: driblet: `driblet serve` has ended; vite serves the build without it$/);
    const plain = await fetch(new URL('lib.d.ts', url));
    assert.deepEqual(Buffer.from(await plain.arrayBuffer()), OLD);
    assert.equal((await fetch(new URL('lib.d.ts.driblet/head', url))).status, 502);
    await server.close();
  });
});
