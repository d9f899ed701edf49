// nginx in front of a server, in its usual first configuration.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expected } from './limit.mjs';

/** Starts nginx on a free port, with these lines in its `server` block. scripts/setup.sh installs it. */
export async function nginx(lines) {
  const home = mkdtempSync(join(tmpdir(), 'driblet-nginx-'));
  const port = await freePort();
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${home}/${kind};`);
  writeFileSync(
    join(home, 'nginx.conf'),
    `daemon off; master_process off; pid ${home}/pid; error_log stderr;
events {}
http {
  access_log off;
  ${temp.join('\n  ')}
  server { listen 127.0.0.1:${port};
${lines}
  }
}
`,
  );
  const child = spawn('nginx', ['-p', home, '-c', 'nginx.conf', '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(child, 'exit');
  const failed = ended.then(([code]) => Promise.reject(new Error(`nginx ended with ${code}`)));
  const waiting = new AbortController();
  try {
    await expected(Promise.race([answers(port, waiting.signal), failed]), 'nginx answers');
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

async function freePort() {
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
