// `node demo/run.mjs DRIBLET` serves a page that keeps typescript.js in step with the server, and publishes its next release when the
// page asks for it. It stops with Ctrl-C.
import { spawn } from 'node:child_process';
import { copyFileSync, cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const RELEASES = ['5.8.3', '5.9.2', '5.9.3'];

const binary = process.argv[2];
if (!binary) {
  console.error('usage: node demo/run.mjs DRIBLET');
  process.exit(2);
}

const home = mkdtempSync(join(tmpdir(), 'driblet-demo-'));
const root = join(home, 'root');
cpSync(fileURLToPath(new URL('page', import.meta.url)), root, { recursive: true });
let published = 0;
publish();

const server = spawn(binary, ['serve', root, '--listen', '127.0.0.1:0', '--history', join(home, 'history')], {
  stdio: ['ignore', 'inherit', 'pipe'],
});
server.on('exit', (code) => stop(code ?? 0));
const site = await listening(server.stderr);

// Publishing is no part of driblet: a release is a file that is replaced. This little server of its own does it for the page's button.
const control = createServer((request, response) => {
  response.setHeader('access-control-allow-origin', site.origin);
  if (request.headers.origin !== site.origin) return response.writeHead(403).end();
  if (request.method === 'POST' && published + 1 < RELEASES.length) {
    published += 1;
    publish();
  }
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ release: RELEASES[published], next: RELEASES[published + 1] ?? null }));
});
control.listen(0, '127.0.0.1', () => {
  writeFileSync(join(root, 'control.json'), JSON.stringify({ url: `http://127.0.0.1:${control.address().port}/` }));
  console.log(`\n  The demo is at ${site.href}\n  Ctrl-C stops it.\n`);
});
process.on('SIGINT', () => stop(0));
process.on('SIGTERM', () => stop(0));

/** Puts the current release into the root, in one step. */
function publish() {
  const release = new URL(`../npm/node_modules/typescript-${RELEASES[published]}/lib/typescript.js`, import.meta.url);
  copyFileSync(fileURLToPath(release), join(home, 'next'));
  renameSync(join(home, 'next'), join(root, 'typescript.js'));
}

/** The URL that the server says it listens on. */
function listening(stderr) {
  return new Promise((resolve) => {
    createInterface(stderr).on('line', (line) => {
      const ready = /^listening on (\S+)/.exec(line);
      if (ready) resolve(new URL(ready[1]));
      else console.error(line);
    });
  });
}

function stop(code) {
  server.kill();
  rmSync(home, { recursive: true, force: true });
  process.exit(code);
}
