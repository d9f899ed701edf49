// `node demo/run.mjs DRIBLET` serves a page that keeps two files up to date with the server. It publishes their next
// releases when the page asks for it. Ctrl-C stops it.
import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { copyFileSync, cpSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

// The first release, a minor one and a patch of each file. They are published together.
const ASSETS = {
  'typescript.js': {
    releases: ['5.8.3', '5.9.2', '5.9.3'],
    at: (release) => here(`../npm/node_modules/typescript-${release}/lib/typescript.js`),
  },
  'sql-wasm.wasm': {
    releases: ['1.14.1', '1.15.1', '1.15.2'],
    at: (release) => here(`node_modules/sql.js-${release}/dist/sql-wasm.wasm`),
  },
};
const LAST = ASSETS['typescript.js'].releases.length - 1;

const binary = process.argv[2];
if (!binary) {
  console.error('usage: node demo/run.mjs DRIBLET');
  process.exit(2);
}
const installed = statSync(here('node_modules/.package-lock.json'), { throwIfNoEntry: false });
if (!installed || installed.mtimeMs < statSync(here('package-lock.json')).mtimeMs) {
  execFileSync('npm', ['ci', '--silent', '--no-audit', '--no-fund'], {
    cwd: here('.'),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

const home = mkdtempSync(join(tmpdir(), 'driblet-demo-'));
const root = join(home, 'root');
cpSync(here('page'), root, { recursive: true });
let step = 0;
// Names the store in which the page keeps the files. A visitor who starts over gets a new name, and has nothing stored.
let visitor = randomUUID();
let server;
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop(0));
process.on('uncaughtException', (error) => {
  console.error(error);
  stop(1);
});
publish();
await serve('127.0.0.1:0');
let versions = await visit();
let acting;

// driblet does not publish files: a release is a file that is replaced. This server does that for the page's button.
const { origin } = server.site;
const control = createServer(async (request, response) => {
  if (request.headers.origin !== origin) return response.writeHead(403).end();
  // One request after the other, from any page.
  if (request.method === 'POST') acting = Promise.resolve(acting).then(() => act(request.url));
  await acting;
  response.writeHead(200, {
    'access-control-allow-origin': origin,
    'cache-control': 'no-store',
    'content-type': 'application/json',
  });
  const releases = Object.fromEntries(Object.entries(ASSETS).map(([name, { releases }]) => [name, releases[step]]));
  response.end(JSON.stringify({ visitor, releases, isLast: step === LAST }));
});
control.listen(0, '127.0.0.1', () => {
  writeFileSync(join(root, 'control.json'), JSON.stringify({ url: `http://127.0.0.1:${control.address().port}` }));
  console.log(`\n  The demo is at ${server.site.href}\n  Ctrl-C stops it.\n`);
});

async function act(path) {
  if (path === '/first') {
    step = 0;
    visitor = randomUUID();
    publish();
    versions = await visit();
  } else if (step < LAST) {
    step += 1;
    if (path === '/next-without-history') {
      await forget();
      versions = await visit();
    } else {
      publish();
      versions = await visit(versions);
    }
  }
}

/** Copies the current releases into the root, each in one step. */
function publish() {
  for (const [name, { releases, at }] of Object.entries(ASSETS)) {
    copyFileSync(at(releases[step]), join(home, 'next'));
    renameSync(join(home, 'next'), join(root, name));
  }
}

/** Publishes while the server is stopped. It then starts with a history that has none of the earlier releases. */
async function forget() {
  await server.end();
  publish();
  await serve(server.site.host);
}

/**
 * Requests what the page will request, so that the server has made it: the page is the second visitor of a release, not
 * the first. The answer to a signature is made for each visitor. Returns the published versions, by name.
 */
async function visit(before) {
  const found = {};
  for (const name of Object.keys(ASSETS)) {
    // The ETag consists of the version and the encoding.
    [found[name]] = /[0-9a-f]{64}/.exec((await drain(name)).etag);
    await drain(`${name}.driblet/${before?.[name] ?? 'none'}`);
  }
  return found;
}

/** Fetches as a browser does, reads to the end, and returns the headers. */
function drain(path) {
  return new Promise((resolve, reject) => {
    const headers = { 'accept-encoding': 'gzip, deflate, br, zstd' };
    const asked = get(new URL(path, server.site), { agent: false, headers }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${path}: ${response.statusCode}`));
      response
        .on('end', () => resolve(response.headers))
        .on('error', reject)
        .resume();
    });
    asked.on('error', reject);
  });
}

/** Starts a server with an empty history. */
function serve(address) {
  const history = mkdtempSync(join(home, 'history-'));
  const child = spawn(binary, ['serve', root, '--listen', address, '--history', history], {
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const fail = (code) => stop(code ?? 0);
  child.once('exit', fail);
  server = {
    end() {
      child.off('exit', fail);
      child.kill();
      return ended;
    },
  };
  return new Promise((resolve) => {
    createInterface(child.stderr).on('line', (line) => {
      const ready = /^listening on (\S+)/.exec(line);
      if (!ready) return console.error(line);
      server.site = new URL(ready[1]);
      resolve();
    });
  });
}

async function stop(code) {
  await server?.end();
  rmSync(home, { recursive: true, force: true });
  process.exit(code);
}

function here(path) {
  return fileURLToPath(new URL(path, import.meta.url));
}
