// `node demo/run.mjs DRIBLET` serves a page that keeps two files up to date with the server, one that keeps a site up to
// date, a directory, and one that follows the files of a folder. It publishes the next releases, and changes the files,
// when the pages ask for it. Ctrl-C stops it.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { LIVE_FILES } from './live.mjs';
import { buildReleases } from './releases.mjs';

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
const live = join(root, 'live');
cpSync(here('page'), root, { recursive: true });
console.log('\n  Building six releases of an app…');
const builds = await buildReleases(home, '/site/');
let step = 0;
let build = 0;
// Names the store in which the page keeps the files. A visitor who starts over gets a new name, and has nothing stored.
let visitor = randomUUID();
let siteVisitor = randomUUID();
/** How often each file of the page that follows was changed. */
const changes = Object.fromEntries(Object.keys(LIVE_FILES).map((name) => [name, 0]));
let server;
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop(0));
process.on('uncaughtException', (error) => {
  console.error(error);
  stop(1);
});
publish();
placeSite();
mkdirSync(live);
for (const name of Object.keys(LIVE_FILES)) writeLive(name);
await serve('127.0.0.1:0', newHistory());
let versions = await visit();
let siteVersion = await visitSite();
let acting;

// driblet does not publish files: a release is a file that is replaced. This server does that for the pages' buttons.
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
  const { says, changed, whole } = builds[build];
  const site = {
    ...{ visitor: siteVisitor, release: build + 1, of: builds.length, says, changed, whole },
    isLast: build === builds.length - 1,
  };
  const files = Object.fromEntries(Object.keys(LIVE_FILES).map((name) => [name, lookAt(join(live, name))]));
  response.end(
    JSON.stringify({
      ...{ visitor, releases, isLast: step === LAST, site, isServing: server.isServing },
      live: { folder: live, files },
    }),
  );
});
control.listen(0, '127.0.0.1', () => {
  writeFileSync(join(root, 'control.json'), JSON.stringify({ url: `http://127.0.0.1:${control.address().port}` }));
  console.log(
    `\n  The demo is at ${server.site.href}\n  Its page “Live” follows the files in ${live}\n  Ctrl-C stops it.\n`,
  );
});

async function act(path) {
  if (path === '/stop') return server.isServing ? server.end() : undefined;
  if (!server.isServing) await serve(server.site.host, server.history);
  if (path === '/first') {
    step = 0;
    visitor = randomUUID();
    publish();
    versions = await visit();
  } else if (path === '/next' && step < LAST) {
    step += 1;
    publish();
    versions = await visit(versions);
  } else if (path === '/next-without-history' && step < LAST) {
    step += 1;
    await forget();
    versions = await visit();
  } else if (path === '/site/first') {
    build = 0;
    siteVisitor = randomUUID();
    await publishSite();
    siteVersion = await visitSite();
  } else if (path === '/site/next' && build < builds.length - 1) {
    build += 1;
    await publishSite();
    siteVersion = await visitSite(siteVersion);
  } else if (path.startsWith('/live/') && Object.hasOwn(changes, path.slice('/live/'.length))) {
    const name = path.slice('/live/'.length);
    changes[name] += 1;
    writeLive(name);
  }
}

/** Copies the current releases into the root, each in one step. */
function publish() {
  for (const [name, { releases, at }] of Object.entries(ASSETS)) {
    copyFileSync(at(releases[step]), join(home, 'next'));
    renameSync(join(home, 'next'), join(root, name));
  }
}

/** Writes a file of the page that follows, in one step. The server notices by itself, as it notices what editors do. */
function writeLive(name) {
  writeFileSync(join(home, 'next'), LIVE_FILES[name](changes[name]));
  renameSync(join(home, 'next'), join(live, name));
}

/** When a file was changed, in milliseconds since 1970, and what it contains. Undefined if it is not there. */
function lookAt(file) {
  try {
    const { ctimeMs } = statSync(file);
    return { changed: ctimeMs, digest: createHash('sha256').update(readFileSync(file)).digest('base64') };
  } catch {
    return undefined;
  }
}

/** Puts the current build of the site into the place of the one before. */
function placeSite() {
  const place = join(root, 'site');
  cpSync(builds[build].folder, join(home, 'next-site'), { recursive: true });
  if (existsSync(place)) renameSync(place, join(home, 'last-site'));
  renameSync(join(home, 'next-site'), place);
  rmSync(join(home, 'last-site'), { recursive: true, force: true });
}

/** Publishes the current build of the site as one snapshot, as a deploy does. */
async function publishSite() {
  placeSite();
  await promisify(execFile)(binary, ['publish', root, 'site', '--history', server.history]);
}

/** Publishes while the server is stopped. It then starts with a history that has none of the earlier releases. */
async function forget() {
  await server.end();
  publish();
  await serve(server.site.host, newHistory());
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

/** Requests what the page will request of the site, for the same reason. Returns the published version. */
async function visitSite(before) {
  const { version } = await (await fetch(new URL('/site/.driblet/head', server.site))).json();
  if (version !== before) await drain(`site/.driblet/${before ?? 'none'}`);
  return version;
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

function newHistory() {
  return mkdtempSync(join(home, 'history-'));
}

/** Starts the server. */
function serve(address, history) {
  const options = ['--directory', 'site', '--directory', 'live', '--listen', address, '--history', history];
  const child = spawn(binary, ['serve', root, ...options], { stdio: ['ignore', 'inherit', 'pipe'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const fail = (code) => stop(code ?? 0);
  child.once('exit', fail);
  server = {
    history,
    site: server?.site,
    isServing: true,
    end() {
      server.isServing = false;
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
