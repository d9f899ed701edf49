// A real `driblet serve` on a folder of its own. DRIBLET_BIN names the binary.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { whenStarted } from './program.mjs';

export const binary =
  process.env.DRIBLET_BIN ?? fileURLToPath(new URL('../../../target/release/driblet', import.meta.url));

/** A file of a real release: `release('5.8.3')` is typescript.js. */
export function release(version, file = 'typescript.js') {
  return fileURLToPath(new URL(`../../node_modules/typescript-${version}/lib/${file}`, import.meta.url));
}

/** The length of the delta that a server makes when it has time. */
export function lengthOfDiff(old, fresh) {
  const home = mkdtempSync(join(tmpdir(), 'driblet-diff-'));
  try {
    execFileSync(binary, ['diff', old, fresh, '--codec', 'auto', '-o', join(home, 'delta')]);
    return statSync(join(home, 'delta')).size;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/**
 * Requests a delta until it has that length: the first requests get a delta made at once, later ones the better one.
 */
export async function whenDeltaIs(length, url) {
  for (let tries = 0; tries < 10_000; tries += 1) {
    if ((await lengthOf(url)) === length) return;
  }
  throw new Error(`${url} never had ${length} bytes`);
}

/** The length of the answer that a browser gets. */
export async function lengthOf(url) {
  const response = await fetch(url, { headers: { accept: 'application/vnd.driblet.delta;codec=dense' } });
  return (await response.arrayBuffer()).byteLength;
}

/**
 * Starts a server on a new folder with an empty page. `publish` copies a file into it. With `--access-log json`, `answers`
 * has the server's answers.
 */
export async function serve(...options) {
  const home = mkdtempSync(join(tmpdir(), 'driblet-test-'));
  const root = mkdtempSync(join(home, 'root-'));
  writeFileSync(join(root, 'index.html'), '<!doctype html><title>driblet</title>');
  options.forEach((option, at) => {
    if (option === '--directory') mkdirSync(join(root, options[at + 1]), { recursive: true });
  });
  let history = mkdtempSync(join(home, 'history-'));
  let running = await start(root, history, options);
  return {
    root,
    get url() {
      return running.url;
    },
    get answers() {
      return running.answers;
    },
    publish(name, path) {
      copyFileSync(path, join(root, name));
    },
    /** Publishes a folder as a snapshot at once. Returns what the command says. */
    async snapshot(folder) {
      return (await promisify(execFile)(binary, ['publish', root, folder, '--history', history])).stdout;
    },
    /** Starts the server anew, with an empty history. */
    async forget() {
      await running.stop();
      history = mkdtempSync(join(home, 'history-'));
      running = await start(root, history, options);
    },
    /** Ends the server by a signal, and starts it anew at the same address, with the same history. `meanwhile` runs between the two. */
    async restart(signal = 'SIGTERM', meanwhile = async () => {}) {
      await running.end(signal);
      await meanwhile();
      running = await start(root, history, options, running.url.port);
    },
    async close() {
      await running.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function start(root, history, options, port = 0) {
  const child = spawn(binary, ['serve', root, '--listen', `127.0.0.1:${port}`, '--history', history, ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const answers = [];
  createInterface({ input: child.stdout }).on('line', (line) => answers.push(JSON.parse(line)));
  const { found, stop, end } = await whenStarted(child, child.stderr, /^listening on (https?:\S+)/, 'driblet serve');
  return { url: new URL(found[1]), stop, end, answers };
}
