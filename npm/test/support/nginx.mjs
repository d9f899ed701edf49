// nginx in front of a server: in its usual first configuration, or with deploy/nginx.conf.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expected } from './limit.mjs';

/** Starts nginx on a free port, with these lines in its `server` block. scripts/setup.sh installs it. */
export async function nginx(lines) {
  const home = mkdtempSync(join(tmpdir(), 'driblet-nginx-'));
  const port = await freePort();
  return run(home, port, `events {} http { access_log off; server { listen 127.0.0.1:${port}; ${lines} } }`);
}

/** Starts nginx with deploy/nginx.conf, in front of a server. Its names and places are replaced, and nothing else. */
export async function deployedNginx(upstream, { cert, key }) {
  const home = mkdtempSync(join(tmpdir(), 'driblet-nginx-'));
  const [port, plain] = [await freePort(), await freePort()];
  const text = replaced(readFileSync(new URL('../../../deploy/nginx.conf', import.meta.url), 'utf8'), [
    ['user www-data;', ''],
    ['server 127.0.0.1:8080;', `server ${upstream};`],
    ['listen 80;', `listen 127.0.0.1:${plain};`],
    ['listen [::]:80;', ''],
    ['listen 443 ssl http2;', `listen 127.0.0.1:${port} ssl http2;`],
    ['listen [::]:443 ssl http2;', ''],
    ['/etc/letsencrypt/live/example.com/fullchain.pem', cert],
    ['/etc/letsencrypt/live/example.com/privkey.pem', key],
  ]);
  return run(home, port, text);
}

/** A text with each of these parts, which must be there, replaced by another one. */
export function replaced(text, parts) {
  return parts.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`${from} is not in the file`);
    return text.replace(from, to);
  }, text);
}

/** Starts nginx with the text of its configuration, which is completed by places that it may write to. */
async function run(home, port, text) {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${home}/${kind};`);
  const start = `daemon off; master_process off; pid ${home}/pid; error_log stderr;\n`;
  writeFileSync(join(home, 'nginx.conf'), start + text.replace('http {', `http {\n  ${temp.join('\n  ')}\n`));
  return started('nginx', ['-p', home, '-c', 'nginx.conf', '-e', 'stderr'], {}, home, port);
}

/** Starts a proxy, and waits until it answers on the port. `home` is removed after its end. */
export async function started(program, args, env, home, port) {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, ...env } });
  const ended = once(child, 'exit');
  const failed = ended.then(([code]) => Promise.reject(new Error(`${program} ended with ${code}`)));
  const waiting = new AbortController();
  try {
    await expected(Promise.race([answers(port, waiting.signal), failed]), `${program} answers`);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    waiting.abort();
  }
  return {
    port,
    async close() {
      child.kill('SIGKILL');
      await ended;
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** A port that nothing listens on. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until something listens on the port. */
async function answers(port, signal) {
  while (!signal.aborted) {
    const socket = connect(port, '127.0.0.1');
    const is = await new Promise((resolve) =>
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false)),
    );
    socket.destroy();
    if (is) return;
  }
}
