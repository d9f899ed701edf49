// An app that vite builds, a logger that keeps what vite and its plugins say, and servers that have their histories
// where `driblet serve` chooses.
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after } from 'node:test';
import { promisify } from 'node:util';
import { createLogger } from 'vite';
import { binary } from './driblet.mjs';
import { temporaryFolder } from './folder.mjs';
import { expected } from './limit.mjs';
import { whenStarted } from './program.mjs';

/** Histories that nobody names are below this folder, as long as the tests of a file run. */
process.env.XDG_CACHE_HOME = temporaryFolder('vite-cache');

/** Creates an app. `write` replaces one of its files. */
export function newApp() {
  const root = temporaryFolder('vite-plugin');
  const write = (name, text) => {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  };
  write('index.html', '<!doctype html><title>app</title><script type="module" src="/main.js"></script>');
  write('main.js', 'document.title = "the first build";');
  return { root, output: join(root, 'dist'), write };
}

/**
 * A logger for vite. `said` has its lines, each with its level before it; `until` waits for a line that matches, and
 * forgets the lines up to it.
 */
export function newLogger() {
  const said = [];
  let onLine = () => {};
  const logger = createLogger('silent');
  for (const level of ['info', 'warn', 'error']) {
    logger[level] = (text) => {
      said.push(`${level}: ${text}`);
      onLine();
    };
  }
  const found = (pattern) => said.findIndex((line) => pattern.test(line));
  const until = async (pattern) => {
    const line = new Promise((resolve) => {
      onLine = () => found(pattern) === -1 || resolve();
      onLine();
    });
    await expected(line, `vite says ${pattern}`);
    return said.splice(0, found(pattern) + 1).at(-1);
  };
  return { logger, said, until };
}

/** The lines of the plugin. */
export function ofDriblet(said) {
  return said.filter((line) => /^\w+: driblet/.test(line));
}

/** Starts a server of a folder, and ends it after the tests of the file. Resolves once it answers everything. */
export async function serveFolder(root, ...options) {
  const child = spawn(binary, ['serve', root, '--listen', '127.0.0.1:0', ...options], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const { found, stop } = await whenStarted(child, child.stderr, /^listening on (http:\S+)/, 'driblet serve');
  after(stop);
  const url = new URL(found[1]);
  // The control socket is open before the first answer.
  await (await fetch(new URL('.driblet/health', url))).text();
  return { url, stop, pid: child.pid };
}

/** The versions of the whole folder that a server has in its history, newest first. Makes the server look at no file. */
export async function versionsOf(root, ...options) {
  const { stdout } = await promisify(execFile)(binary, ['history', 'list', root, '--json', ...options]);
  const lines = stdout.split('\n').filter(Boolean);
  const { versions = [] } = lines.map((line) => JSON.parse(line)).find(({ path }) => path === '/') ?? {};
  return versions.map(({ version }) => version);
}

/** The processes that a process has started, and those that these have: their ids by their names. */
export function descendants(pid) {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
  );
  return children.flatMap((child) => [
    [readFileSync(`/proc/${child}/comm`, 'utf8').trim(), Number(child)],
    ...descendants(child),
  ]);
}

/** Waits until a process has ended. */
export async function hasEnded(pid) {
  await expected(promisify(execFile)('tail', [`--pid=${pid}`, '-f', '/dev/null']), `process ${pid} ends`);
}
