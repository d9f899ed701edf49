// A plain file host without driblet: a folder over HTTP, with lengths, types by name, ETags of time and size, and
// ranges.
import { once } from 'node:events';
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { expected } from './limit.mjs';

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' };

/** Serves `root`, with additional headers. Has a `url` like `serve`. */
export async function serveFiles(root, more = {}) {
  const server = createServer((request, response) => {
    const path = join(root, new URL(request.url, 'http://host').pathname.replace(/\/$/, '/index.html'));
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found?.isFile()) return response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>Not Found</h1>');
    const etag = `"${found.mtimeMs.toString(16)}-${found.size.toString(16)}"`;
    const type = TYPES[/\.\w+$/.exec(path)?.[0]] ?? 'application/octet-stream';
    const headers = { ...more, etag, 'content-type': type, 'accept-ranges': 'bytes' };
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    if (start === 0 || (request.headers['if-range'] ?? etag) !== etag) {
      response.writeHead(200, { ...headers, 'content-length': found.size });
      return createReadStream(path).pipe(response);
    }
    if (found.size <= start) return response.writeHead(416, { 'content-range': `bytes */${found.size}` }).end();
    response.writeHead(206, {
      ...headers,
      'content-length': found.size - start,
      'content-range': `bytes ${start}-${found.size - 1}/${found.size}`,
    });
    return createReadStream(path, { start }).pipe(response);
  });
  server.listen(0, '127.0.0.1');
  await expected(once(server, 'listening'), 'the file host listens');
  return {
    root,
    url: new URL(`http://127.0.0.1:${server.address().port}/`),
    async close() {
      server.closeAllConnections();
      server.close();
      await expected(once(server, 'close'), 'the file host closes');
    },
  };
}
