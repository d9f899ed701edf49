// A link between the browser and a server that can be told to misbehave.
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { createGzip } from 'node:zlib';
import { expected } from './limit.mjs';

/**
 * Starts a proxy to `server`. `fault` is called with each request, and returns what is to go wrong with its answer, or
 * undefined:
 *
 * - `{ stall: n }` sends nothing after n bytes of the body, until `hangUp` breaks the connection.
 * - `{ cut: n }` breaks the connection after n bytes; the browser may lose some of them.
 * - `{ gone }` is called when the browser has closed its end.
 * - `{ flip: n }` changes the byte at n; `{ put: [n, value] }` replaces it.
 * - `{ headers }` adds headers to the answer.
 * - `{ html }` answers instead of the server; `{ instead }` asks the server for another path.
 * - `{ until }` answers with nothing when that promise resolves.
 * - `{ after }` asks the server when that promise resolves.
 * - `{ never }` never answers; `{ hangUp }` closes the connection without an answer.
 * - `{ status }` answers with that status and nothing else.
 * - `{ edit }` is called with each piece of the body, and returns what to send instead; nothing for undefined.
 * - `{ redirect }` redirects the browser there.
 * - `{ busy }` answers 503, with that Retry-After if it is a string.
 * - `{ pace: [n, ms] }` sends at most n bytes of the body in so many milliseconds.
 * - `{ gzip }` compresses the body, `{ weak }` makes the ETag weak, and `{ lengthless }` omits the length, as proxies
 * do.
 */
export async function proxyTo(server) {
  const stalled = new Set();
  const link = {
    fault: () => undefined,
    requests: [],
    /** The paths of the requests that are being answered. */
    open: new Map(),
    hangUp: () => stalled.forEach((socket) => socket.destroy()),
  };
  const proxy = createServer((asked, answer) => {
    link.requests.push({
      method: asked.method,
      path: asked.url,
      range: asked.headers.range,
      accept: asked.headers.accept,
    });
    link.open.set(answer, asked.url);
    answer.once('close', () => link.open.delete(answer));
    const fault = link.fault(asked) ?? {};
    return fault.after ? fault.after.then(() => pass(asked, answer, fault)) : pass(asked, answer, fault);
  });

  function pass(asked, answer, fault) {
    if (fault.gone) answer.once('close', fault.gone);
    if (fault.never) return undefined;
    if (fault.hangUp) return answer.socket.destroy();
    if (fault.redirect)
      return answer.writeHead(307, { location: fault.redirect, 'access-control-allow-origin': '*' }).end();
    if (fault.busy !== undefined)
      return answer.writeHead(503, fault.busy === null ? {} : { 'retry-after': fault.busy }).end('busy');
    if (fault.status) return answer.writeHead(fault.status).end();
    if (fault.until) return fault.until.then(() => answer.end());
    if (fault.html) return answer.setHeader('content-type', 'text/html; charset=utf-8').end(fault.html);
    const { host } = server.url;
    const headers = { ...asked.headers, host, ...(asked.headers.origin && { origin: `http://${host}` }) };
    const onward = request({
      host: server.url.hostname,
      port: server.url.port,
      method: asked.method,
      path: fault.instead ?? asked.url,
      headers,
      agent: false,
    });
    onward.on('error', () => answer.destroy());
    answer.on('close', () => onward.destroy());
    onward.on('response', (response) => {
      const headers = { ...response.headers, ...fault.headers };
      if (fault.weak && headers.etag) headers.etag = `W/${headers.etag}`;
      if (fault.gzip || fault.lengthless) delete headers['content-length'];
      answer.writeHead(response.statusCode, fault.gzip ? { ...headers, 'content-encoding': 'gzip' } : headers);
      answer.flushHeaders();
      if (fault.pace) return void paced(response, answer, ...fault.pace);
      if (fault.gzip) return response.pipe(createGzip()).pipe(answer);
      if (fault.stall !== undefined) {
        stalled.add(answer.socket);
        answer.once('close', () => stalled.delete(answer.socket));
      }
      let at = 0;
      const [place, value] = fault.put ?? [];
      response.on('data', (bytes) => {
        if (fault.flip !== undefined && at <= fault.flip && fault.flip < at + bytes.length)
          bytes[fault.flip - at] ^= 1 << (fault.flip % 8);
        if (at <= place && place < at + bytes.length) bytes[place - at] = value;
        if (fault.edit) {
          const edited = fault.edit(bytes);
          if (edited) answer.write(edited);
          return;
        }
        const end = fault.cut ?? fault.stall;
        if (end === undefined || at + bytes.length <= end) {
          answer.write(bytes);
        } else {
          response.destroy();
          // Waits until the bytes before the end are sent.
          answer.write(bytes.subarray(0, end - at), () => fault.cut === undefined || answer.socket?.end());
        }
        at += bytes.length;
      });
      response.on('end', () => answer.end());
      // The server broke off.
      response.on('error', () => fault.stall ?? fault.cut ?? answer.destroy());
    });
    asked.pipe(onward);
  }

  proxy.listen(0, '127.0.0.1');
  await expected(once(proxy, 'listening'), 'the proxy listens');
  link.url = `http://127.0.0.1:${proxy.address().port}/`;
  link.close = async () => {
    proxy.closeAllConnections();
    proxy.close();
    await expected(once(proxy, 'close'), 'the proxy closes');
  };
  return link;
}

async function paced(response, answer, length, pause) {
  for await (const bytes of response) {
    for (let at = 0; at < bytes.length; at += length) {
      answer.write(bytes.subarray(at, at + length));
      await setTimeout(pause);
    }
  }
  answer.end();
}

/** Whether a request is for a delta. */
export function isDelta({ url }) {
  return /\.driblet\/(none|[0-9a-f]{64})/.test(url);
}
